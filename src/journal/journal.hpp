// One SQLite database with all that must be true together: the log of events, and the state of the
// watches that they follow from. A turn's events and its changed state are written in one
// transaction, and only then are the events handed on. Owned by the daemon; pipeline thread.
//
// Without a path it keeps nothing but the counters (`inotifier watch`).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_lock.hpp"
#include "config/config.hpp"
#include "inotifier/time.hpp"
#include "journal/event_log.hpp"
#include "journal/sqlite.hpp"
#include "journal/state_store.hpp"

namespace inotifier {

struct JournalOptions : Config::Journal {
  std::string daemon_name;        ///< events' `source`
  bool daemon_name_given = true;  ///< false: one kept from the journal's first start goes before it
};

class Journal {
 public:
  /// `start`: wall clock. Opens, locks and migrates; throws SetupError with path and remedy:
  /// locked, newer, corrupt, no database of ours, on a network file system, not writable.
  Journal(JournalOptions options, Nanos start);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  EventLog& events() { return *events_; }
  const EventLog& events() const { return *events_; }
  const StateStore& state() const { return *state_; }
  const JournalOptions& options() const { return options_; }

  // --- watches

  using Watch = StateStore::Watch;
  /// Registers a watch. `previous_name`: takes over what is kept under that name, if there is
  /// nothing under `name`.
  Watch open_watch(std::string_view name, std::string_view previous_name, std::string_view root,
                   Nanos wall);
  /// It is not configured any more: what is kept of it goes after `retain`.
  void close_watch(std::int64_t watch, Nanos wall);
  using Tables = StateStore::Tables;
  /// Fills empty tables with what is kept of the watch; from then on they remember what changes.
  void load(const Tables& tables);
  /// After a scan: what was read or gathered once is not wanted again.
  void release_memory();

  // --- a turn

  /// Hands every event of the turn to `publish` after it is as safe as the journal makes it.
  using Publish = EventLog::Publish;
  /// `time`: when the turn's facts were established, wall clock; not before any of them was. False:
  /// there is no room on the disk; the turn is kept, nothing of it is published, and nothing but
  /// retry() may be called until that succeeded. Throws SetupError if the journal is broken.
  bool commit(const std::vector<WatchReport>& turn, Nanos time, std::span<const Tables> tables,
              const Publish& publish);
  bool retry(std::span<const Tables> tables, const Publish& publish);
  bool blocked() const { return blocked_; }
  /// Gives up what is older than asked for, some of it at a time. True: there is more to do. Call
  /// it every turn: it looks every ten seconds.
  bool tidy(const Now& now);
  /// Entries that a consumer has not had yet take more than 80 % of retain_size: what can wait
  /// (scans) should, or they would be given up.
  bool is_crowded(const Now& now);

  /// For consumers and snapshots, which are tables of the same database. Null without a path.
  sqlite::Database* database() { return database_ ? &database_ : nullptr; }
  /// What SQLite's error means. True: no room, try again later. Throws SetupError otherwise.
  bool may_be_retried(const sqlite::Error& error);

 private:
  void lock();
  void open();
  void check_format();
  void migrate();
  bool write(std::span<const Tables> tables);
  std::uint64_t held(Nanos wall);

  JournalOptions options_;
  FileLock lock_;
  sqlite::Database database_;
  std::optional<EventLog> events_;
  std::optional<StateStore> state_;
  bool blocked_ = false;
  Nanos next_tidy_ = 0;
  Nanos next_note_ = 0;  ///< monotonic: when the open watches are noted again
};

}  // namespace inotifier
