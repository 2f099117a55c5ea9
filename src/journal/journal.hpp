// The ordered log of events, and all that must be true together with it: gives each event its
// position and its id, writes a turn's events and file tables in one transaction, and only then
// hands the events on. Owned by the daemon; pipeline thread.
//
// Without a path it keeps nothing but the counters (`inotifier watch`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "inotifier/processor.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {

class FileTable;
class WatchTable;

/// A report with the watch it came from.
struct WatchReport {
  std::string_view watch;  ///< lives as long as the pipeline
  std::string_view root;
  Report report;
};

struct JournalOptions {
  std::string path;               ///< of the database; "" = nothing is kept
  std::string daemon_name;        ///< events' `source`
  bool daemon_name_given = true;  ///< false: one kept from the journal's first start goes before it
  Nanos retain = 7 * 24 * 3600 * 1'000'000'000LL;
  std::int64_t retain_size = std::int64_t{2} << 30;          ///< bytes of events
  Nanos consumer_expiry = 30 * 24 * 3600 * 1'000'000'000LL;  ///< silent so long: holds nothing back
  bool power_safe = false;  ///< every commit reaches the disk (durability = "power")
};

class Journal {
 public:
  /// `start`: wall clock. The first position is max(last + 1, unix seconds x 2^20), so that no
  /// position is ever given twice. Opens, locks and migrates; throws SetupError with path and
  /// remedy: locked, newer, corrupt, no database of ours, on a network file system, not writable.
  Journal(JournalOptions options, Nanos start);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // --- watches

  struct Watch {
    std::int64_t id = 0;
    Nanos born = 0;      ///< wall clock: when it was first watched; committed before its first scan
    bool known = false;  ///< it was watched before
  };
  /// Registers a watch. `previous_name`: takes over what is kept under that name, if there is
  /// nothing under `name`.
  Watch open_watch(std::string_view name, std::string_view previous_name, std::string_view root,
                   Nanos wall);

  /// It is not configured any more: what is kept of it goes after `retain`.
  void close_watch(std::int64_t watch, Nanos wall);
  bool is_open(std::int64_t watch) const { return open_.contains(watch); }

  // --- a turn

  /// What has changed in the tables of a watch.
  struct Tables {
    std::int64_t watch = 0;
    std::string_view name;  ///< of the watch
    FileTable* files = nullptr;
    WatchTable* directories = nullptr;
  };
  /// Fills empty tables with what is kept of the watch; from then on they remember what changes.
  void load(const Tables& tables);
  /// After a scan: what was read or gathered once is not wanted again.
  void release_memory();
  /// Hands every entry of the turn to `publish`, in order, with its topic and wire bytes, after it
  /// is as safe as the journal makes it.
  using Publish = std::function<void(std::string_view topic, std::string_view body)>;
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

  // --- what is in it

  const std::string& stream() const { return stream_; }
  const std::string& daemon_name() const { return options_.daemon_name; }
  const JournalOptions& options() const { return options_; }
  /// Topic -> position of its last event.
  const std::map<std::string, std::uint64_t, std::less<>>& last() const { return last_; }
  /// Position of the newest event, that of the last one of an earlier life if there is none yet.
  std::uint64_t last_position() const { return position_; }
  /// No event of this run has a position up to this one.
  std::uint64_t started_after() const { return started_after_; }
  /// Entries ever written, of all kinds; see Entry::number.
  std::uint64_t count() const { return number_; }
  std::int64_t bytes() const { return bytes_; }  ///< of the events kept

  struct Entry {
    std::uint64_t position = 0;
    std::uint64_t number = 0;    ///< counts entries without gaps, of all kinds
    std::uint32_t topic = 0;     ///< see topic_name()
    std::uint32_t consumer = 0;  ///< 0: for everybody; else for that one only
    Nanos time = 0;
    std::string_view body;  ///< valid during the call
  };
  /// Shows entries after `after`, in order, until `each` returns false; those of every consumer,
  /// the caller chooses. Reads what is committed.
  void read(std::uint64_t after, const std::function<bool(const Entry&)>& each);
  /// "type/watch/".
  const std::string& topic_name(std::uint32_t topic) const { return topics_[topic].name; }
  std::uint32_t topics() const { return static_cast<std::uint32_t>(topics_.size()); }
  /// Position of the last event of that topic that is not kept any more; 0 if all are.
  std::uint64_t evicted(std::uint32_t topic) const { return topics_[topic].evicted; }
  /// Position of the last event of that topic; 0 if there is none.
  std::uint64_t last(std::uint32_t topic) const { return topics_[topic].last; }
  std::uint64_t first_position();
  /// Position of the last entry from before that time; 0 if there is none.
  std::uint64_t position_before(Nanos wall);
  /// Number of the last entry up to `position`; for `behind`.
  std::uint64_t number_at(std::uint64_t position);

  /// Puts copies of events into the log for one consumer alone: same id, new position. Inside
  /// a transaction of the caller.
  struct Copy {
    std::uint32_t topic = 0;
    std::string_view body;
  };
  void append_for(std::uint32_t consumer, std::span<const Copy> copies, Nanos wall);
  /// How far the log has come. If a transaction with append_for() failed: back_to() what place()
  /// was before it.
  struct Place {
    std::uint64_t position = 0;
    std::uint64_t number = 0;
    std::int64_t bytes = 0;
  };
  Place place() const { return {position_, number_, bytes_}; }
  void back_to(const Place& place);
  /// The id of what is said of a file: 32 hex digits.
  static std::string file_id(std::string_view type, std::string_view watch, std::string_view path,
                             const Stat& stat, std::uint32_t revision);
  /// The number of "type/watch/", made if it is new. Inside a transaction of the caller.
  std::uint32_t topic_number(std::string_view name);

  /// For consumers and snapshots, which are tables of the same database. Null without a path.
  sqlite::Database* database() { return database_ ? &database_ : nullptr; }
  /// What SQLite's error means. True: no room, try again later. Throws SetupError otherwise.
  bool may_be_retried(const sqlite::Error& error);

 private:
  struct Topic {
    std::string name;
    std::uint64_t last = 0;
    std::uint64_t evicted = 0;
    bool changed = false;
  };
  /// An event of the turn, encoded.
  struct Fresh {
    std::uint64_t position = 0;
    std::uint32_t topic = 0;
    std::size_t begin = 0;  ///< in bodies_
    std::size_t size = 0;
    std::string_view watch;
    std::uint64_t path_hash = 0;  ///< of what a file.completed speaks of; else 0
    std::array<unsigned char, 16> id{};
  };
  struct Statements;

  void open(Nanos start);
  void lock();
  void check_format();
  void migrate();
  void load_meta(Nanos start);
  void encode(const std::vector<WatchReport>& turn, Nanos time);
  bool write(std::span<const Tables> tables);
  void write_tables(const Tables& tables);
  void publish_fresh(const Publish& publish);
  std::uint64_t held(Nanos wall);
  std::uint64_t first_number();
  bool evict(std::uint64_t until);
  bool forget_watch(Nanos wall);

  JournalOptions options_;
  UniqueFd lock_;
  sqlite::Database database_;
  std::unique_ptr<Statements> statements_;
  std::string stream_;  ///< random, one per journal
  std::uint64_t position_ = 0;
  std::uint64_t started_after_ = 0;
  std::uint64_t number_ = 0;
  std::int64_t bytes_ = 0;
  bool blocked_ = false;
  Nanos next_tidy_ = 0;
  std::set<std::int64_t> open_;  ///< ids of the watches that are configured
  Nanos next_seen_ = 0;          ///< monotonic: when that is to be noted again
  std::vector<Topic> topics_;    ///< by number; 0 is none
  std::map<std::string, std::uint32_t, std::less<>> topic_numbers_;
  std::map<std::string, std::uint64_t, std::less<>> last_;
  // Of the turn; kept for their capacity.
  std::vector<Fresh> fresh_;
  std::string bodies_;
  Nanos time_ = 0;
  std::string topic_;
  std::string key_;
  std::string id_;
  std::string body_;
};

}  // namespace inotifier
