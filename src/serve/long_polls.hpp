// Fetches that have no answer yet: each waits for its turn (standby), for its slice of reading, or
// for an event that it wants. Owned by FetchService; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/consumers.hpp"
#include "journal/journal.hpp"
#include "serve/ownership.hpp"
#include "serve/replies.hpp"

namespace inotifier {

struct LongPoll {
  enum class State {
    kStandby,  ///< another client owns the consumer
    kReading,  ///< the log may hold something for it
    kWaiting,  ///< nothing for it up to the end of the log
  };
  ReplyTo to;
  StoredConsumer* consumer = nullptr;  ///< null: reading without one
  std::string client;
  TopicFilter own_filter;  ///< without a consumer
  State state = State::kReading;
  std::uint64_t from = 0;    ///< without a consumer: the position asked for
  std::uint64_t at = 0;      ///< nothing for it before and at this position
  std::uint64_t number = 0;  ///< of the last entry that was passed over
  std::size_t limit = 0;
  Nanos lease = 0;
  Nanos asked = 0;     ///< monotonic: how long it wants to wait
  Nanos deadline = 0;  ///< the same, but later while a state is being made for it
  bool created = false;
  bool unwritten = false;  ///< what came with it is not flushed yet

  TopicFilter& filter() { return consumer != nullptr ? consumer->filter : own_filter; }
  std::uint64_t begin() const { return consumer != nullptr ? consumer->kept.position : from; }
};

/// What of a filter's events after `position` is not kept any more: {first, last}, or nil.
Value lost_of(TopicFilter& filter, const Journal& journal, std::uint64_t position);

class LongPolls {
 public:
  LongPolls(Journal& journal, Ownership& ownership, Replies& replies)
      : journal_(journal), ownership_(ownership), replies_(replies) {}

  /// Throws Refusal: there are too many.
  void check_room(Nanos wait) const;
  void add(LongPoll poll);
  std::size_t size() const { return polls_.size(); }

  /// The state of this client's poll; nothing: it has none.
  std::optional<LongPoll::State> state_of(const StoredConsumer& consumer,
                                          std::string_view client) const;
  /// Answers this client's poll now, with nothing; it has one.
  void answer(const StoredConsumer& consumer, std::string_view client, const Now& now);
  void refuse_all_of(const StoredConsumer& consumer, std::string_view code,
                     std::string_view message);
  /// The owner's alone: those on standby go on waiting for their turn.
  void refuse_owner_of(const StoredConsumer& consumer, std::string_view code,
                       std::string_view message);
  /// There may be something new for this consumer alone.
  void wake(const StoredConsumer& consumer);
  /// Its filter has changed: everything after its position is read again.
  void rewind(const StoredConsumer& consumer);
  /// A request may have changed leases.
  void leases_changed() { changed_ = true; }

  /// A consumer is in use while a poll waits for it.
  void note_seen(const Now& now);

  /// What came with them is written.
  void written();
  void refuse_unwritten();

  /// After each turn of the pipeline: answers what can be answered.
  void turn(const Now& now);
  /// Monotonic time when turn() is wanted again at the latest.
  std::optional<Nanos> deadline(const Now& now);

 private:
  using Polls = std::list<LongPoll>;

  Polls::iterator find(const StoredConsumer& consumer, std::string_view client);
  Polls::iterator drop(Polls::iterator poll);
  void start_reading(LongPoll& poll);
  void look_at_journal();
  void look_at_time(const Now& now);
  void take_turn(LongPoll& poll, const Now& now);
  void read(const Now& now);
  bool is_answered(LongPoll& poll, const Now& now);
  bool read_slice(LongPoll& poll, const Now& now);
  struct Slice;
  Slice copy_events(LongPoll& poll, std::string& body, WireWriter& writer);
  void finish_reply(ReplyWriter& writer, LongPoll& poll, bool at_end, const Now& now);
  void answer_empty(LongPoll& poll, const Now& now);
  void answer_standby(const LongPoll& poll, const Now& now);

  Journal& journal_;
  Ownership& ownership_;
  Replies& replies_;
  Polls polls_;
  std::vector<std::uint64_t> last_;  ///< of each topic, when last looked at
  std::uint64_t count_ = 0;          ///< of the journal, when last looked at
  std::size_t entries_ = 0;          ///< read in this turn
  std::size_t reading_ = 0;          ///< how many are kReading
  bool changed_ = true;              ///< polls or leases, since the deadline was found
  std::optional<Nanos> deadline_;
};

}  // namespace inotifier
