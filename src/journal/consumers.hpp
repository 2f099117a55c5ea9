// Named durable positions and what could not be processed: in memory, and in tables of the
// journal's database. Owned by the fetch service; pipeline thread.
//
// Requests change consumers in memory; flush() writes what many of them changed in one transaction,
// and only then are they answered. If that fails for want of room, all is put back as it was.
#pragma once

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

#include "inotifier/time.hpp"
#include "journal/journal.hpp"
#include "journal/topic_filter.hpp"

namespace inotifier {

struct StoredConsumer {
  std::uint32_t id = 0;  ///< 0: not written yet
  std::string name;
  /// What flush() writes.
  struct Kept {
    std::uint64_t position = 0;  ///< everything up to there is done
    Nanos created = 0;           ///< wall clock
    Nanos seen = 0;              ///< wall clock: the last request, and
    Nanos used = 0;              ///< the same as a time of the RunningClock
    std::string owner;           ///< the client that has it; "" = nobody
    Nanos lease = 0;
    std::optional<std::string> snapshot;  ///< see Snapshot; nothing: none, or done
    std::uint64_t good = 0;    ///< acks of what was delivered before an update or a seek are good
    std::uint64_t unsure = 0;  ///< up to there, until the position has passed this one
  } kept;
  TopicFilter filter;
  std::set<std::uint64_t> failed;  ///< positions of what was given up

  // Of this run.
  std::uint64_t delivered = 0;  ///< greatest cursor that was told
  std::uint64_t trusted = 0;    ///< acks up to here are good, whatever was delivered
  std::uint64_t clear = 0;      ///< nothing it wants lies after its position up to this one
  Nanos expires = 0;            ///< monotonic: the end of the lease
  bool polled = false;          ///< its owner waits for an answer, which keeps the lease
  Nanos used_written = 0;
  Nanos in_use = 0;            ///< monotonic: counts as in use until then
  std::uint64_t numbered = 0;  ///< a position, and
  std::uint64_t number = 0;    ///< the number of the last entry up to it

  // For flush().
  struct Before {
    Kept kept;
    EventFilter filter;
    std::uint64_t delivered = 0;
    std::uint64_t trusted = 0;
    std::uint64_t clear = 0;
  };
  std::unique_ptr<Before> before;  ///< null: nothing has changed
};

class Consumers {
 public:
  /// Reads them all. Who owned one has it for a full lease again, from `mono` on.
  Consumers(Journal& journal, Nanos mono);
  ~Consumers();
  Consumers(const Consumers&) = delete;
  Consumers& operator=(const Consumers&) = delete;

  /// Stays where it is until forget(), or until flush() calls it gone.
  StoredConsumer* find(std::string_view name);
  std::size_t size() const { return consumers_.size(); }
  void each(const std::function<void(StoredConsumer&)>& visit);
  /// How many entries of the log come after `position`; remembers the last answer.
  std::uint64_t behind(StoredConsumer& consumer, std::uint64_t position);

  /// A new one; written by the next flush().
  StoredConsumer& add(std::string_view name);
  /// Call it before anything of `kept`, `filter`, `delivered`, `trusted` or `clear` is changed.
  /// `lasting`: what a power cut must not take back, because nobody would do it again.
  void change(StoredConsumer& consumer, bool lasting = false);
  /// What was delivered beyond `until`, also in an earlier run, must be delivered anew before it is
  /// acked. After change().
  static void doubt_beyond(StoredConsumer& consumer, std::uint64_t until);
  /// It was asked for, or is waited for, now.
  void note_used(StoredConsumer& consumer, const Now& now);
  bool has_changes() const { return !changed_.empty(); }
  /// Writes what changed in one transaction. False: there is no room; all is as before the changes,
  /// and those that were new are told to `gone` and then are no more. Throws SetupError if the
  /// journal is broken.
  bool flush(const std::function<void(StoredConsumer&)>& gone);

  // In a transaction of their own, at once. Nothing may be waiting for flush(). False (or nothing):
  // there is no room, nothing was changed. Throw SetupError as above.

  bool forget(StoredConsumer& consumer);
  /// Forgets some of those that nobody has used for consumer_expiry. True: there may be more.
  bool forget_expired(const Now& now);
  struct Failure {
    std::uint64_t position = 0;
    Nanos time = 0;
    std::int64_t tries = 0;
    std::string_view reason;
    std::string_view body;  ///< views: valid during the call
  };
  /// Keeps the event at failure.position with its body, which is found in the log. `kept`: whether
  /// there is such an event (still) for this consumer.
  bool fail(StoredConsumer& consumer, const Failure& failure, bool& kept);
  /// Puts the events that failed at these positions (nullopt: all), at most `limit`, into the log
  /// again, for this consumer alone. How many; `more`: there are others.
  std::optional<std::size_t> retry(StoredConsumer& consumer,
                                   const std::optional<std::vector<std::uint64_t>>& positions,
                                   std::size_t limit, Nanos wall, bool& more);
  /// Shows failures after a position, in order, until `each` returns false.
  void failures(const StoredConsumer& consumer, std::uint64_t after,
                const std::function<bool(const Failure&)>& each);

 private:
  struct Statements;
  void load(Nanos mono);
  void write(StoredConsumer& consumer);
  std::uint64_t wanted_after(const Now& now) const;
  /// Does `work` in a transaction; a lasting one is on the disk before it returns. False: no room;
  /// it was rolled back.
  bool transact(bool lasting, const std::function<void()>& work);

  Journal& journal_;
  std::unique_ptr<Statements> statements_;
  std::map<std::string, std::unique_ptr<StoredConsumer>, std::less<>> consumers_;
  std::vector<StoredConsumer*> changed_;
  bool lasting_ = false;  ///< something of changed_ is
};

}  // namespace inotifier
