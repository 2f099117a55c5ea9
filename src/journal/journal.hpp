// One SQLite database with all that must be true together: the log of events, and the state of the
// watches that they follow from. A turn's events and its changed state are written in one
// transaction, and only then are the events handed on. Owned by the daemon; pipeline thread.
//
// Without a path it keeps nothing but the counters (`inotifier watch`).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_lock.hpp"
#include "config/config.hpp"
#include "inotifier/time.hpp"
#include "journal/event_log.hpp"
#include "journal/running_clock.hpp"
#include "journal/sqlite.hpp"
#include "journal/state_store.hpp"

namespace inotifier {

struct JournalOptions : Config::Journal {
  std::string daemon_name;        ///< events' `source`
  bool daemon_name_given = true;  ///< false: one kept from the journal's first start goes before it
};

class Journal {
 public:
  /// Opens, locks and migrates; throws SetupError with path and remedy:
  /// locked, newer, corrupt, no database of ours, on a network file system, not writable.
  Journal(JournalOptions options, const Now& start);
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
  Watch open_watch(std::string_view name, std::string_view previous_name, std::string_view root);
  struct WatchChange {
    std::vector<std::int64_t> closed;  ///< not configured any more: kept for `retain`
    std::vector<const WatchConfig*> opened;
  };
  /// All of it or, if it throws SetupError, nothing. open_watch() of those that were opened gives
  /// the same as here.
  void change_watches(const WatchChange& change);
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
  /// How long daemons have run on this journal: what `retain` and `consumer_expiry` count.
  Nanos ran(const Now& now) const { return clock_->at(now); }
  /// Gives up what is older than asked for, some of it at a time. True: there is more to do. Call
  /// it every turn: it looks every ten seconds.
  bool tidy(const Now& now);
  /// How many events of what can wait (finds of scans, a snapshot) the log may take now: what a
  /// consumer in use has not had yet may fill 80 % of retain_size, or it would be given up. Once it
  /// does, 0 until it has had half of that. Not for long if it does not get on.
  std::size_t room(const Now& now);
  /// Position after which consumers in use want what there is; the end of the log if none does.
  using WantedAfter = std::function<std::uint64_t(const Now&)>;
  void set_wanted_after(WantedAfter wanted_after) { wanted_after_ = std::move(wanted_after); }

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
  bool give_up_old(const Now& now);
  std::uint64_t held(const Now& now);

  JournalOptions options_;
  FileLock lock_;
  sqlite::Database database_;
  std::optional<EventLog> events_;
  std::optional<StateStore> state_;
  std::optional<RunningClock> clock_;
  WantedAfter wanted_after_;
  std::uint64_t wanted_ = UINT64_MAX;  ///< what wanted_after_ said last,
  Nanos wanted_since_ = 0;             ///< monotonic: and since when
  bool is_crowded_ = false;            ///< room() waits for consumers
  bool blocked_ = false;
  bool broken_ = false;  ///< nothing is written any more
  Nanos next_tidy_ = 0;
  Nanos next_note_ = 0;  ///< monotonic: when the open watches are noted again
};

}  // namespace inotifier
