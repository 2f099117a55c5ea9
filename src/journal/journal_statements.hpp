// The statements of a journal's every turn. What the three files of the Journal share; nobody else
// includes it.
#pragma once

#include "journal/journal.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {

/// Prepared once, when the database is open.
struct Journal::Statements {
  explicit Statements(sqlite::Database& db)
      : begin(db, "BEGIN IMMEDIATE"),
        commit(db, "COMMIT"),
        add_event(db,
                  "INSERT INTO events(position, topic, number, consumer, time, body) "
                  "VALUES(?,?,?,?,?,?)"),
        add_topic(db, "INSERT INTO topics(id, name) VALUES(?,?)"),
        set_topic(db, "UPDATE topics SET last=?, evicted=? WHERE id=?"),
        set_meta(db, "UPDATE meta SET value=? WHERE key=?"),
        put_file(db,
                 "INSERT INTO files(watch, directory, name, inode, size, mtime, ctime, birth, "
                 "path_hash, tie, state, event) VALUES(?,?,?,?,?,?,?,?,?,?,?,?) "
                 "ON CONFLICT(watch, directory, name) DO UPDATE SET inode=excluded.inode, "
                 "size=excluded.size, mtime=excluded.mtime, ctime=excluded.ctime, "
                 "birth=excluded.birth, path_hash=excluded.path_hash, tie=excluded.tie, "
                 "state=excluded.state, event=coalesce(excluded.event, event)"),
        drop_file(db, "DELETE FROM files WHERE watch=? AND directory=? AND name=?"),
        put_departed(
            db, "INSERT OR REPLACE INTO departed(watch, path_hash, mtime, tie) VALUES(?,?,?,?)"),
        drop_departed(db, "DELETE FROM departed WHERE watch=? AND path_hash=?"),
        put_directory(db,
                      "INSERT OR REPLACE INTO directories(watch, id, parent, name, inode, btime, "
                      "mounted) VALUES(?,?,?,?,?,?,?)"),
        drop_directory(db, "DELETE FROM directories WHERE watch=? AND id=?"),
        read(db,
             "SELECT position, number, topic, consumer, time, body FROM events WHERE position>? "
             "ORDER BY position"),
        oldest(db,
               "SELECT position, topic, length(body), time FROM events ORDER BY position LIMIT ?"),
        evict(db, "DELETE FROM events WHERE position<=?"),
        held(db, "SELECT min(position) FROM consumers WHERE seen>?"),
        number_upto(db,
                    "SELECT number FROM events WHERE position<=? ORDER BY position DESC LIMIT 1"),
        first_number(db, "SELECT number FROM events ORDER BY position LIMIT 1") {}

  sqlite::Statement begin, commit, add_event, add_topic, set_topic, set_meta, put_file, drop_file,
      put_departed, drop_departed, put_directory, drop_directory, read, oldest, evict, held,
      number_upto, first_number;
};

}  // namespace inotifier
