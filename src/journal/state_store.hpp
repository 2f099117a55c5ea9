// What the journal keeps besides the events: the watches, and of each one its directories, its rows
// of the file table and its tombstones. Owned by the Journal, in whose transactions it writes;
// pipeline thread.
//
// Without a database it keeps nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "inotifier/time.hpp"
#include "journal/event_log.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {

class FileTable;
class WatchTable;

class StateStore {
 public:
  explicit StateStore(sqlite::Database* database);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // --- watches

  struct Watch {
    std::int64_t id = 0;
    bool known = false;  ///< it was watched before
  };
  // `ran`: times of the RunningClock.

  /// See Journal::open_watch(). One that is open stays as it is.
  Watch open_watch(std::string_view name, std::string_view previous_name, std::string_view root,
                   Nanos ran);
  void close_watch(std::int64_t watch, Nanos ran);
  bool is_open(std::int64_t watch) const { return open_.contains(watch); }
  /// By id: the watches that are configured.
  using Open = std::map<std::int64_t, Watch>;
  const Open& open() const { return open_; }
  /// After a transaction that opened and closed some was rolled back: those of before.
  void restore(Open before) { open_ = std::move(before); }
  /// Notes that the open watches are configured now.
  void note_open(Nanos ran);
  /// Deletes some rows of a watch that has not been configured since `ran`, in a transaction of
  /// its own. False if there is none.
  bool forget_watch(Nanos ran);

  // --- its tables

  /// What has changed in the tables of a watch.
  struct Tables {
    std::int64_t watch = 0;
    std::string_view name;  ///< of the watch
    FileTable* files = nullptr;
    WatchTable* directories = nullptr;
  };
  /// Fills empty tables with what is kept of the watch; from then on they remember what changes.
  void load(const Tables& tables);
  /// Writes what has changed, in a transaction of the caller; committed() after its end. Rows of
  /// files that were `announced` get the ids of their events.
  void write(const Tables& tables, std::span<const EventLog::Announced> announced);
  static void committed(const Tables& tables);
  /// Id of the event that announced the file of a row, 16 bytes; "" if none is kept.
  std::string event_id(std::int64_t watch, DirId dir, std::string_view name) const;

 private:
  struct Statements;
  bool find_watch(std::string_view name, Watch& watch);
  void load_directories(std::int64_t watch, WatchTable& directories);
  void load_files(std::int64_t watch, FileTable& files);
  void write_directories(std::int64_t watch, const WatchTable& directories);
  void write_files(const Tables& tables, std::span<const EventLog::Announced> announced);

  sqlite::Database* database_;
  std::unique_ptr<Statements> statements_;
  Open open_;
};

}  // namespace inotifier
