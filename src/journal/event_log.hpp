// The ordered log of events: gives each event its position, its id and its wire bytes, shows what
// is kept, and gives up the oldest. Owned by the Journal, in whose transactions it writes; pipeline
// thread.
//
// Without a database it keeps nothing but the counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/processor.hpp"
#include "journal/age_marks.hpp"
#include "journal/sqlite.hpp"
#include "journal/topic_table.hpp"

namespace inotifier {

/// A report with the watch it came from.
struct WatchReport {
  std::string_view watch;  ///< lives as long as the pipeline
  std::string_view root;
  Report report;
};

class EventLog {
 public:
  /// `daemon_name`: the `source` of events; unless it was given the one that was kept at the first
  /// start goes before it. `start`: wall clock. The first position comes after the last one, after
  /// all that may have been given by an earlier run, whatever a power cut has taken back, and, for
  /// a copy that was restored, after unix seconds x 2^20: no position is ever given twice.
  EventLog(sqlite::Database* database, std::string daemon_name, bool daemon_name_given,
           Nanos start);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // --- a turn

  /// The id of an event that announced a file, which the file's row keeps.
  struct Announced {
    std::string_view watch;
    DirId dir = kNoDir;
    std::string name;
    std::string id;  ///< 16 bytes
  };

  /// Gives the events of a turn their positions, ids and wire bytes.
  void encode(const std::vector<WatchReport>& turn, Nanos time);
  /// The announced files of the encoded turn.
  const std::vector<Announced>& announced() const { return announced_; }
  /// Writes the encoded turn, in a transaction of the caller; committed() after its end.
  void write();
  void committed();
  /// Hands the encoded turn on, in order, each event with its topic and wire bytes.
  using Publish = std::function<void(std::string_view topic, std::string_view body)>;
  void publish(const Publish& publish);

  // --- what is in it

  const std::string& stream() const { return stream_; }
  const std::string& daemon_name() const { return daemon_name_; }
  const TopicTable& topics() const { return topics_; }
  std::uint32_t topic_number(std::string_view name) { return topics_.number_of(name); }
  /// Topic -> position of its last published event.
  std::map<std::string, std::uint64_t, std::less<>> published() const;
  /// Position of the newest event, that of the last one of an earlier run if there is none yet.
  std::uint64_t last_position() const { return at_.position; }
  /// No event of this run has a position up to this one.
  std::uint64_t started_after() const { return started_after_; }
  /// Entries ever written, of all kinds; see Entry::number.
  std::uint64_t count() const { return at_.number; }
  std::int64_t bytes() const { return at_.bytes; }  ///< of the events kept

  struct Entry {
    std::uint64_t position = 0;
    std::uint64_t number = 0;    ///< counts entries without gaps, of all kinds
    std::uint32_t topic = 0;     ///< see topics()
    std::uint32_t consumer = 0;  ///< 0: for everybody; else for that one only
    Nanos time = 0;
    std::string_view body;  ///< valid during the call
  };
  /// Shows entries after `after`, in order, until `each` returns false; those of every consumer,
  /// the caller chooses. Reads what is committed.
  void read(std::uint64_t after, const std::function<bool(const Entry&)>& each);
  std::uint64_t first_position();
  /// Position of the last entry before the first one from that time or a later one; 0 if there is
  /// none. Where the wall clock was set back, times fall.
  std::uint64_t position_before(Nanos wall);
  /// Number of the last entry up to `position`; for `behind`.
  std::uint64_t number_at(std::uint64_t position);
  /// Number of the oldest entry kept; that of the next one if there is none.
  std::uint64_t first_number();

  // --- for one consumer alone

  struct Copy {
    std::uint32_t topic = 0;
    std::string_view body;
  };
  /// Puts a copy of an event into the log for one consumer alone: same id, new position. In a
  /// transaction of the caller; if that fails: back_to() what mark() was before it.
  void append_for(std::uint32_t consumer, const Copy& copy, Nanos wall);
  /// How far the log has come.
  struct Mark {
    std::uint64_t position = 0;
    std::uint64_t number = 0;
    std::int64_t bytes = 0;
  };
  const Mark& mark() const { return at_; }
  void back_to(const Mark& mark) { at_ = mark; }
  /// The id of what is published of a file: 16 bytes.
  static std::string file_id(std::string_view type, std::string_view watch, std::string_view path,
                             const Stat& stat, std::uint32_t revision);

  // --- keeping, in transactions of their own

  /// Gives up some of the oldest entries, up to `until` and no more than make `enough` bytes. False
  /// if there are none.
  bool evict(std::uint64_t until, std::int64_t enough = INT64_MAX);
  /// Notes that all entries are there at `ran`, a time of the RunningClock.
  void mark_age(Nanos ran);
  const AgeMarks& ages() const { return marks_; }
  /// Entries up to here were there at `ran` already; 0 if none is known to have been.
  std::uint64_t there_at(Nanos ran) { return marks_.there_at(ran); }
  /// Writes down, on the disk when it returns, that more positions may be given, if those that are
  /// left of the last time are few. Call it every turn.
  void reserve_positions();
  /// Before a clean end: only those that were given are.
  void release_positions();

 private:
  /// An event of the turn, encoded.
  struct Encoded {
    std::uint64_t position = 0;
    std::uint32_t topic = 0;
    std::size_t begin = 0;  ///< in bodies_
    std::size_t size = 0;
  };
  struct Statements;

  void load_meta(bool daemon_name_given);
  /// Of the entries after `low` and up to `high` the first one from `wall` or later; 0: none.
  std::uint64_t first_from(Nanos wall, std::uint64_t low, std::uint64_t high);
  std::string_view body_of(const Encoded& event) const {
    return std::string_view(bodies_).substr(event.begin, event.size);
  }

  sqlite::Database* database_;
  std::unique_ptr<Statements> statements_;
  TopicTable topics_;
  AgeMarks marks_;
  std::string stream_;  ///< random, one per journal
  std::string daemon_name_;
  Mark at_;
  std::uint64_t started_after_ = 0;
  std::uint64_t reserved_ = 0;  ///< positions up to here may be given
  Nanos last_time_ = 0;         ///< wall clock: of the last turn that was written
  // Of the turn; kept for their capacity.
  std::vector<Encoded> turn_;
  std::vector<Announced> announced_;
  std::string bodies_;
  Nanos time_ = 0;
};

}  // namespace inotifier
