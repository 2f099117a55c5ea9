#include "serve/long_polls.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <set>
#include <utility>

#include "inotifier/wire.hpp"
#include "journal/sqlite.hpp"
#include "serve/limits.hpp"
#include "serve/request.hpp"

namespace inotifier {
namespace {

using State = LongPoll::State;

// How long a poll may go on reading a long log after its time is up: clients wait 10 s longer than
// they asked for.
constexpr Nanos kOvertime = 5 * kSecond;
// An entry that is passed over costs below 1 us, one that is copied a little more.
constexpr std::size_t kEntriesPerTurn = 10'000;
// A slice costs at least as much as so many entries.
constexpr std::size_t kEntriesPerSlice = 64;

}  // namespace

Value lost_of(TopicFilter& filter, const Journal& journal, std::uint64_t position) {
  const std::uint64_t last = filter.evicted(journal.events().topics());
  if (last <= position) return {};
  return Value::Map{{"first", position_text(position + 1)}, {"last", position_text(last)}};
}

void LongPolls::check_room(Nanos wait) const {
  if (polls_.size() < (wait > 0 ? kMaxPolls : 2 * kMaxPolls)) return;
  throw Refusal{"busy", fmt::format("there are {} long polls already", polls_.size())};
}

void LongPolls::add(LongPoll poll) {
  if (poll.consumer != nullptr) {
    poll.at = std::max(poll.consumer->kept.position, poll.consumer->clear);
    if (poll.state != State::kStandby) poll.consumer->polled = true;
  }
  if (poll.state == State::kReading) ++reading_;
  polls_.push_back(std::move(poll));
  changed_ = true;
}

LongPolls::Polls::iterator LongPolls::find(const StoredConsumer& consumer,
                                           std::string_view client) {
  return std::find_if(polls_.begin(), polls_.end(), [&](const LongPoll& poll) {
    return poll.consumer == &consumer && poll.client == client;
  });
}

LongPolls::Polls::iterator LongPolls::drop(Polls::iterator poll) {
  if (poll->state == State::kReading) --reading_;
  if (poll->consumer != nullptr && poll->state != State::kStandby) poll->consumer->polled = false;
  changed_ = true;
  return polls_.erase(poll);
}

std::optional<State> LongPolls::state_of(const StoredConsumer& consumer,
                                         std::string_view client) const {
  for (const LongPoll& poll : polls_) {
    if (poll.consumer == &consumer && poll.client == client) return poll.state;
  }
  return std::nullopt;
}

void LongPolls::answer(const StoredConsumer& consumer, std::string_view client, const Now& now) {
  const auto poll = find(consumer, client);
  answer_empty(*poll, now);
  drop(poll);
}

void LongPolls::refuse_all_of(const StoredConsumer& consumer, std::string_view code,
                              std::string_view message) {
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    if (poll->consumer == &consumer) {
      replies_.refuse(poll->to, code, message);
      poll = drop(poll);
    } else {
      ++poll;
    }
  }
}

void LongPolls::refuse_owner_of(const StoredConsumer& consumer, std::string_view code,
                                std::string_view message) {
  const auto poll = std::find_if(polls_.begin(), polls_.end(), [&](const LongPoll& each) {
    return each.consumer == &consumer && each.state != State::kStandby;
  });
  if (poll == polls_.end()) return;
  replies_.refuse(poll->to, code, message);
  drop(poll);
}

void LongPolls::wake(const StoredConsumer& consumer) {
  if (!consumer.polled) return;
  for (LongPoll& poll : polls_) {
    if (poll.consumer == &consumer && poll.state == State::kWaiting) start_reading(poll);
  }
}

void LongPolls::rewind(const StoredConsumer& consumer) {
  for (LongPoll& poll : polls_) {
    if (poll.consumer == &consumer) poll.at = consumer.kept.position;
  }
  wake(consumer);
}

void LongPolls::note_seen(const Now& now) {
  for (const LongPoll& poll : polls_) {
    if (poll.consumer != nullptr) ownership_.note_seen(*poll.consumer, now);
  }
}

void LongPolls::written() {
  for (LongPoll& poll : polls_) poll.unwritten = false;
}

void LongPolls::refuse_unwritten() {
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    if (poll->unwritten) {
      replies_.refuse(poll->to, "busy", kBusy);
      poll = drop(poll);
    } else {
      ++poll;
    }
  }
}

void LongPolls::start_reading(LongPoll& poll) {
  poll.state = State::kReading;
  ++reading_;
}

// --- a turn

void LongPolls::turn(const Now& now) {
  look_at_journal();
  look_at_time(now);
  read(now);
}

/// Wakes those that want what was committed since the last time.
void LongPolls::look_at_journal() {
  if (journal_.blocked() || journal_.events().count() == count_) return;
  count_ = journal_.events().count();
  const auto& topics = journal_.events().topics();
  std::vector<std::uint32_t> fresh;  // topics with new events
  last_.resize(topics.size());
  for (std::uint32_t topic = 1; topic < topics.size(); ++topic) {
    if (std::exchange(last_[topic], topics[topic].last) != last_[topic]) fresh.push_back(topic);
  }
  for (LongPoll& poll : polls_) {
    if (poll.state != State::kWaiting) continue;
    const bool wanted = std::any_of(fresh.begin(), fresh.end(), [&](std::uint32_t topic) {
      return poll.filter().wants(topics, topic);
    });
    if (wanted) {
      start_reading(poll);
    } else {
      poll.at = journal_.events().last_position();
      if (poll.consumer != nullptr) poll.consumer->clear = poll.at;
    }
  }
}

/// A poll on standby becomes the owner's.
void LongPolls::take_turn(LongPoll& poll, const Now& now) {
  ownership_.take_over(*poll.consumer, poll.client);
  ownership_.set_lease(*poll.consumer, poll.lease, now.mono);
  poll.consumer->polled = true;
  poll.at = std::max(poll.consumer->kept.position, poll.consumer->clear);
  poll.unwritten = poll.consumer->before != nullptr;
  start_reading(poll);
}

/// Answers those whose time is up, and gives a consumer that is free to the first on standby.
void LongPolls::look_at_time(const Now& now) {
  if (!changed_ && (!deadline_ || now.mono < *deadline_)) return;
  const bool blocked = journal_.blocked();
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    if (poll->state == State::kStandby && !blocked &&
        Ownership::is_free(*poll->consumer, poll->client, now.mono)) {
      take_turn(*poll++, now);
      continue;
    }
    const Nanos end = poll->deadline + (poll->state == State::kReading ? kOvertime : 0);
    if (now.mono < end) {
      ++poll;
      continue;
    }
    answer_empty(*poll, now);
    poll = drop(poll);
  }
}

void LongPolls::read(const Now& now) {
  entries_ = 0;
  const auto last = polls_.empty() ? polls_.end() : std::prev(polls_.end());
  for (auto poll = polls_.begin(); reading_ > 0 && poll != polls_.end();) {
    const bool is_last = poll == last;
    const auto next = std::next(poll);
    if (poll->state == State::kReading) {
      if (entries_ >= kEntriesPerTurn) return;
      if (is_answered(*poll, now)) {
        drop(poll);
      } else {
        polls_.splice(polls_.end(), polls_, poll);  // the others have their turn first
      }
    }
    if (is_last) return;
    poll = next;
  }
}

struct LongPolls::Slice {
  std::size_t read = 0;   ///< entries
  std::size_t count = 0;  ///< of them copied
  bool at_end = true;     ///< of the log
};

/// Copies what the poll wants, and moves poll.at past it.
LongPolls::Slice LongPolls::copy_events(LongPoll& poll, std::string& body, WireWriter& writer) {
  TopicFilter& filter = poll.filter();
  StoredConsumer* consumer = poll.consumer;
  const std::uint32_t id = consumer != nullptr ? consumer->id : 0;
  const std::size_t begin = body.size();
  Slice slice;
  journal_.events().read(poll.at, [&](const EventLog::Entry& entry) {
    if (slice.read == kEntriesPerTurn || slice.count == poll.limit) return slice.at_end = false;
    const bool wanted = (entry.consumer == 0 || entry.consumer == id) &&
                        filter.wants(journal_.events().topics(), entry.topic) &&
                        (consumer == nullptr || !consumer->failed.contains(entry.position));
    if (wanted) {
      const bool fits =
          slice.count == 0 || body.size() - begin + entry.body.size() <= replies_.limit();
      if (!fits) return slice.at_end = false;
      if (slice.count == 0 && consumer != nullptr) consumer->clear = poll.at;
      writer.raw(entry.body);
      ++slice.count;
    }
    ++slice.read;
    poll.at = entry.position;
    poll.number = entry.number;
    return true;
  });
  return slice;
}

/// One for which there is no memory is no reason to end.
bool LongPolls::is_answered(LongPoll& poll, const Now& now) {
  try {
    return read_slice(poll, now);
  } catch (const std::bad_alloc&) {
    replies_.refuse(poll.to, "busy", kNoMemory);
    return true;
  } catch (const sqlite::Error& error) {
    if (!error.is_out_of_memory()) throw;
    replies_.refuse(poll.to, "busy", kNoMemory);
    return true;
  }
}

/// True: the poll was answered.
bool LongPolls::read_slice(LongPoll& poll, const Now& now) {
  std::string body = replies_.buffer();
  ReplyWriter reply(body, journal_.events().stream(), poll.to.request);
  WireWriter& writer = reply.field("events");
  const std::size_t list = writer.open_array();
  poll.at = std::max(poll.at, poll.begin());
  const Slice slice = copy_events(poll, body, writer);
  entries_ += std::max(slice.read, kEntriesPerSlice);
  // No later event gets a position up to the last one given.
  if (slice.at_end && !journal_.blocked())
    poll.at = std::max(poll.at, journal_.events().last_position());
  if (slice.count == 0 && poll.consumer != nullptr) poll.consumer->clear = poll.at;
  const bool more_comes = poll.consumer != nullptr && poll.consumer->kept.snapshot;
  const bool may_wait = now.mono < (more_comes ? poll.deadline : poll.asked);
  if (slice.count == 0 && (!slice.at_end || may_wait)) {
    if (slice.at_end) {
      poll.state = State::kWaiting;
      --reading_;
      changed_ = true;
    }
    replies_.give_back(std::move(body));
    return false;
  }
  writer.close_array(list, slice.count);
  finish_reply(reply, poll, slice.at_end, now);
  replies_.put(poll.to, std::move(body), poll.consumer != nullptr && poll.consumer->before);
  return true;
}

void LongPolls::finish_reply(ReplyWriter& reply, LongPoll& poll, bool at_end, const Now& now) {
  std::uint64_t behind = 0;
  if (!at_end) {
    if (poll.number == 0) poll.number = journal_.events().number_at(poll.at);
    behind = journal_.events().count() - std::min(poll.number, journal_.events().count());
  }
  if (poll.consumer != nullptr && poll.consumer->kept.snapshot) {
    behind = std::max<std::uint64_t>(behind, 1);
  }
  reply.field("cursor").position(poll.at);
  reply.field("behind").integer(static_cast<std::int64_t>(behind));
  reply.field("lost").value(lost_of(poll.filter(), journal_, poll.begin()));
  if (poll.created) reply.field("created").boolean(true);
  reply.finish();
  if (poll.consumer == nullptr) return;
  poll.consumer->delivered = std::max(poll.consumer->delivered, poll.at);
  poll.consumer->expires = now.mono + poll.lease;
}

void LongPolls::answer_empty(LongPoll& poll, const Now& now) {
  if (poll.state == State::kStandby) return answer_standby(poll, now);
  std::string body;
  ReplyWriter reply(body, journal_.events().stream(), poll.to.request);
  reply.field("events").array(0);
  poll.at = std::max(poll.at, poll.begin());
  finish_reply(reply, poll, poll.state == State::kWaiting, now);
  replies_.put(poll.to, std::move(body), poll.consumer != nullptr && poll.consumer->before);
}

void LongPolls::answer_standby(const LongPoll& poll, const Now& now) {
  const Nanos left = Ownership::time_left(*poll.consumer, now.mono);
  replies_.answer(poll.to, {{"standby", Value::Map{{"expires_in", in_seconds(left)}}}});
}

std::optional<Nanos> LongPolls::deadline(const Now& now) {
  if (reading_ > 0) return deadline_ = now.mono;
  if (!changed_ && deadline_ && now.mono < *deadline_) return deadline_;
  changed_ = false;
  deadline_.reset();
  const auto want = [this](Nanos time) {
    if (!deadline_ || time < *deadline_) deadline_ = time;
  };
  const bool blocked = journal_.blocked();
  for (const LongPoll& poll : polls_) {
    want(poll.deadline);
    if (poll.state == State::kStandby && !poll.consumer->polled && !blocked) {
      want(poll.consumer->expires);
    }
  }
  return deadline_;
}

}  // namespace inotifier
