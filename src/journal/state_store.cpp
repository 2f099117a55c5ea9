#include "journal/state_store.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "state/file_table.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

/// Prepared once.
struct StateStore::Statements {
  explicit Statements(sqlite::Database& db)
      : note_watch(db, "UPDATE watches SET seen=? WHERE id=?"),
        set_scanned(db, "UPDATE watches SET scanned=1 WHERE id=?"),
        put_file(db,
                 "INSERT INTO files(watch, directory, name, inode, size, mtime, ctime, birth, "
                 "path_hash, tie, state, event, unsure) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) "
                 "ON CONFLICT(watch, directory, name) DO UPDATE SET inode=excluded.inode, "
                 "size=excluded.size, mtime=excluded.mtime, ctime=excluded.ctime, "
                 "birth=excluded.birth, path_hash=excluded.path_hash, tie=excluded.tie, "
                 "state=excluded.state, unsure=excluded.unsure, "
                 "event=coalesce(excluded.event, event)"),
        drop_file(db, "DELETE FROM files WHERE watch=? AND directory=? AND name=?"),
        put_departed(db,
                     "INSERT OR REPLACE INTO departed(watch, path_hash, mtime, tie, announced) "
                     "VALUES(?,?,?,?,?)"),
        drop_departed(db, "DELETE FROM departed WHERE watch=? AND path_hash=?"),
        put_directory(db,
                      "INSERT OR REPLACE INTO directories(watch, id, parent, name, inode, btime, "
                      "mounted) VALUES(?,?,?,?,?,?,?)"),
        drop_directory(db, "DELETE FROM directories WHERE watch=? AND id=?") {}

  sqlite::Statement note_watch, set_scanned, put_file, drop_file, put_departed, drop_departed,
      put_directory, drop_directory;
};

StateStore::StateStore(sqlite::Database* database) : database_(database) {
  if (database_ != nullptr) statements_ = std::make_unique<Statements>(*database_);
}

StateStore::~StateStore() = default;

// --- watches

bool StateStore::find_watch(std::string_view name, Watch& watch) {
  sqlite::Statement find(*database_, "SELECT id FROM watches WHERE name=?");
  find.bind_text(1, name);
  if (!find.step()) return false;
  watch = {find.integer(0), true};
  return true;
}

StateStore::Watch StateStore::open_watch(std::string_view name, std::string_view previous_name,
                                         std::string_view root, Nanos ran) {
  Watch watch;
  if (database_ == nullptr) return watch;
  const bool has_row = find_watch(name, watch);
  if (const auto open = open_.find(watch.id); has_row && open != open_.end()) return open->second;
  if (has_row || (!previous_name.empty() && find_watch(previous_name, watch))) {
    sqlite::Statement set(*database_, "UPDATE watches SET name=?, root=?, seen=? WHERE id=?");
    set.bind_text(1, name).bind_blob(2, root).bind(3, ran).bind(4, watch.id);
    const bool is_part = database_->in_transaction();
    try {
      set.run();
    } catch (const sqlite::Error& error) {
      // It was only to be noted; but a transaction is over.
      if (!error.is_full() || is_part) throw;
    }
  } else {
    sqlite::Statement add(*database_, "INSERT INTO watches(name, root, seen) VALUES(?,?,?)");
    add.bind_text(1, name).bind_blob(2, root).bind(3, ran).run();
    watch.id = database_->last_row();
  }
  open_.emplace(watch.id, watch);
  return watch;
}

void StateStore::close_watch(std::int64_t watch, Nanos ran) {
  open_.erase(watch);
  if (database_ != nullptr) statements_->note_watch.bind(1, ran).bind(2, watch).run();
}

void StateStore::note_open(Nanos ran) {
  for (const auto& [watch, opened] : open_)
    statements_->note_watch.bind(1, ran).bind(2, watch).run();
}

bool StateStore::forget_watch(Nanos ran) {
  std::int64_t watch = 0;
  std::string name;
  sqlite::Statement old(*database_, "SELECT id, name FROM watches WHERE seen<?");
  old.bind(1, ran);
  while (watch == 0 && old.step()) {
    if (is_open(old.integer(0))) continue;
    watch = old.integer(0);
    name = old.text(1);
  }
  if (watch == 0) return false;
  old.reset();
  sqlite::Transaction transaction(*database_);
  sqlite::Statement files(*database_,
                          "DELETE FROM files WHERE watch=?1 AND (directory, name) <= (SELECT "
                          "directory, name FROM (SELECT directory, name FROM files WHERE watch=?1 "
                          "ORDER BY directory, name LIMIT 1000) ORDER BY directory DESC, name DESC "
                          "LIMIT 1)");
  files.bind(1, watch).run();
  if (database_->changes() == 0) {
    for (const char* sql :
         {"DELETE FROM directories WHERE watch=?", "DELETE FROM departed WHERE watch=?",
          "DELETE FROM watches WHERE id=?"}) {
      sqlite::Statement(*database_, sql).bind(1, watch).run();
    }
    log::info("watch {}: not configured any more; what was known of it is forgotten", name);
  }
  transaction.commit();
  return true;
}

// --- its tables

void StateStore::load(const Tables& tables) {
  if (database_ == nullptr) return;
  if (tables.directories != nullptr) load_directories(tables.watch, *tables.directories);
  if (tables.files != nullptr) load_files(tables.watch, *tables.files);
}

void StateStore::load_directories(std::int64_t watch, WatchTable& directories) {
  std::vector<WatchTable::Saved> saved;
  sqlite::Statement read(
      *database_, "SELECT id, parent, name, inode, btime, mounted FROM directories WHERE watch=?");
  read.bind(1, watch);
  while (read.step()) {
    saved.push_back({static_cast<DirId>(read.integer(0)), static_cast<DirId>(read.integer(1)),
                     read.text(2), read.position(3), read.integer(4), read.integer(5) != 0});
  }
  directories.restore(saved);
  directories.keep_changes();
}

void StateStore::load_files(std::int64_t watch, FileTable& files) {
  sqlite::Statement read(*database_,
                         "SELECT directory, name, inode, size, mtime, ctime, birth, path_hash, "
                         "tie, state, unsure FROM files WHERE watch=?");
  read.bind(1, watch);
  while (read.step()) {
    Row row;
    row.inode = read.position(2);
    row.size = read.integer(3);
    row.mtime = read.integer(4);
    row.ctime = read.integer(5);
    row.birth = read.integer(6);
    row.path_hash = read.position(7);
    row.revision = static_cast<std::uint32_t>(read.integer(8));
    row.state = static_cast<Row::State>(read.integer(9));
    row.unsure = read.integer(10) != 0;
    files.put(static_cast<DirId>(read.integer(0)), read.bytes(1), row);
  }
  sqlite::Statement departed(*database_,
                             "SELECT path_hash, mtime, tie, announced FROM departed WHERE watch=?");
  departed.bind(1, watch);
  while (departed.step()) {
    files.restore_tombstone(departed.position(0),
                            {departed.integer(1), static_cast<std::uint32_t>(departed.integer(2)),
                             departed.integer(3) != 0});
  }
  sqlite::Statement scanned(*database_, "SELECT scanned FROM watches WHERE id=?");
  scanned.bind(1, watch);
  if (scanned.step() && scanned.integer(0) != 0) files.set_scanned();
  files.keep_changes();
}

void StateStore::write(const Tables& tables, std::span<const EventLog::Announced> announced) {
  if (tables.directories != nullptr) write_directories(tables.watch, *tables.directories);
  if (tables.files != nullptr) write_files(tables, announced);
}

void StateStore::write_directories(std::int64_t watch, const WatchTable& directories) {
  directories.each_change([&](DirId dir, const WatchTable::Directory* now) {
    if (now == nullptr) {
      statements_->drop_directory.bind(1, watch).bind(2, dir).run();
      return;
    }
    statements_->put_directory.bind(1, watch)
        .bind(2, dir)
        .bind(3, now->parent)
        .bind_blob(4, now->name)
        .bind(5, now->inode)
        .bind(6, now->btime)
        .bind(7, now->mounted ? 1 : 0)
        .run();
  });
}

void StateStore::write_files(const Tables& tables, std::span<const EventLog::Announced> announced) {
  Statements& sql = *statements_;
  if (tables.files->scanned_has_changed()) sql.set_scanned.bind(1, tables.watch).run();
  std::map<std::pair<DirId, std::string_view>, std::string_view> ids;
  for (const EventLog::Announced& event : announced) {
    if (event.watch == tables.name) ids[{event.dir, event.name}] = event.id;
  }
  tables.files->each_gone([&](DirId dir, std::string_view name) {
    sql.drop_file.bind(1, tables.watch).bind(2, dir).bind_blob(3, name).run();
  });
  tables.files->each_change([&](DirId dir, std::string_view name, const Row& row) {
    sql.put_file.bind(1, tables.watch)
        .bind(2, dir)
        .bind_blob(3, name)
        .bind(4, row.inode)
        .bind(5, row.size)
        .bind(6, row.mtime)
        .bind(7, row.ctime)
        .bind(8, row.birth)
        .bind(9, row.path_hash)
        .bind(10, row.revision)
        .bind(11, static_cast<int>(row.state))
        .bind(13, row.unsure ? 1 : 0);
    const auto id = ids.find({dir, name});
    id == ids.end() ? sql.put_file.bind_null(12) : sql.put_file.bind_blob(12, id->second);
    sql.put_file.run();
  });
  tables.files->each_tombstone_change(
      [&](std::uint64_t path_hash, const FileTable::Tombstone* tombstone) {
        if (tombstone == nullptr) {
          sql.drop_departed.bind(1, tables.watch).bind(2, path_hash).run();
          return;
        }
        sql.put_departed.bind(1, tables.watch)
            .bind(2, path_hash)
            .bind(3, tombstone->mtime)
            .bind(4, tombstone->revision)
            .bind(5, tombstone->announced ? 1 : 0)
            .run();
      });
}

std::string StateStore::event_id(std::int64_t watch, DirId dir, std::string_view name) const {
  if (database_ == nullptr) return {};
  sqlite::Statement read(*database_,
                         "SELECT event FROM files WHERE watch=? AND directory=? AND name=?");
  read.bind(1, watch).bind(2, dir).bind_blob(3, name);
  return read.step() && !read.is_null(0) ? read.text(0) : std::string();
}

void StateStore::committed(const Tables& tables) {
  if (tables.files != nullptr) tables.files->forget_changes();
  if (tables.directories != nullptr) tables.directories->forget_changes();
}

}  // namespace inotifier
