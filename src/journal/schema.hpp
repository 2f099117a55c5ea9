// Every table of the journal, and how an older one becomes this one. Included by journal/ only.
//
// PRAGMA user_version counts the migrations that were applied: migration N makes version N out of
// version N-1. Once released a migration is never changed.
#pragma once

#include <array>

namespace inotifier::schema {

/// "inot": tells our file from any other SQLite database (PRAGMA application_id).
inline constexpr int kApplicationId = 0x696e6f74;

inline constexpr std::array kMigrations{
    // 1
    R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- "type/watch/", the position of its last event and of the last that was given up.
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
                    last INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0);

-- The log. `number` has no gaps. `consumer`: for this one alone (retried, or asked for as state).
-- `time`: nanoseconds since 1970. `body`: as on the wire.
CREATE TABLE events(position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, number INTEGER NOT NULL,
                    consumer INTEGER, time INTEGER NOT NULL, body BLOB NOT NULL);

-- `born`: when it was first watched. `seen`: when it was last configured.
CREATE TABLE watches(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, root BLOB NOT NULL,
                     born INTEGER NOT NULL, seen INTEGER NOT NULL);

-- Directories by the number that rows of the file table have; 0 is the root.
CREATE TABLE directories(watch INTEGER NOT NULL, id INTEGER NOT NULL, parent INTEGER NOT NULL,
                         name BLOB NOT NULL, inode INTEGER NOT NULL, btime INTEGER NOT NULL,
                         mounted INTEGER NOT NULL, PRIMARY KEY(watch, id)) WITHOUT ROWID;

-- What was announced. Clustered by directory: random paths as keys are five times slower.
-- `birth`: btime folded to 32 bits. `event`: the id it was announced with.
CREATE TABLE files(watch INTEGER NOT NULL, directory INTEGER NOT NULL, name BLOB NOT NULL,
                   inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
                   ctime INTEGER NOT NULL, birth INTEGER NOT NULL, path_hash INTEGER NOT NULL,
                   tie INTEGER NOT NULL, state INTEGER NOT NULL, event BLOB,
                   PRIMARY KEY(watch, directory, name)) WITHOUT ROWID;

-- What was last known of paths that have left: a version that comes back is another one.
CREATE TABLE departed(watch INTEGER NOT NULL, path_hash INTEGER NOT NULL, mtime INTEGER NOT NULL,
                      tie INTEGER NOT NULL, PRIMARY KEY(watch, path_hash)) WITHOUT ROWID;

-- `types`, `watches`: MessagePack arrays; empty = all. `owner`: the client that has the lease of
-- `lease` nanoseconds. `snapshot`: how far the announced files were put into the log for it
-- (start = state); NULL: done. An id is never used again: entries of the log may still name it.
CREATE TABLE consumers(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, position INTEGER NOT NULL,
                       types BLOB NOT NULL, watches BLOB NOT NULL, created INTEGER NOT NULL,
                       seen INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '',
                       lease INTEGER NOT NULL DEFAULT 0, snapshot BLOB);

-- Events that a consumer gave up; kept with their bodies for as long as it is there.
CREATE TABLE failures(consumer INTEGER NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
                      tries INTEGER NOT NULL, reason TEXT NOT NULL, topic INTEGER NOT NULL,
                      body BLOB NOT NULL, PRIMARY KEY(consumer, position)) WITHOUT ROWID;
)sql",
    // 2: what is old is told by the time during which a daemon ran (meta "ran", nanoseconds), not
    // by the wall clock; `watches.seen` is that time from now on. `marks`: entries up to `position`
    // were there at `ran`; `set_back`: the next one was written after the wall clock was set back.
    // Meta "reserved": positions up to it may have been given. `watches.scanned`: the first scan
    // has gone through. `files.birth`: the whole creation time; 0 = not known, as of all rows of
    // version 1. `files.unsure`: its times may not show a write after the announcement.
    // `departed.announced`: an announced version was there. `consumers.unsure`: after an update or
    // a seek, acks of what was delivered before are good up to `good` only, until the position has
    // passed `unsure`.
    R"sql(
CREATE TABLE marks(position INTEGER PRIMARY KEY, ran INTEGER NOT NULL, set_back INTEGER NOT NULL);
ALTER TABLE consumers ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consumers ADD COLUMN good INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consumers ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE watches ADD COLUMN scanned INTEGER NOT NULL DEFAULT 0;
UPDATE watches SET seen=0, scanned=1;
ALTER TABLE watches DROP COLUMN born;
UPDATE files SET birth=0;
ALTER TABLE files ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE departed ADD COLUMN announced INTEGER NOT NULL DEFAULT 1;
)sql",
};

inline constexpr int kVersion = static_cast<int>(kMigrations.size());

}  // namespace inotifier::schema
