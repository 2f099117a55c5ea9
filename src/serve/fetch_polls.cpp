// Those who wait for events: who has his turn, what is read for him, and what he is answered.
#include <algorithm>
#include <iterator>
#include <utility>

#include "inotifier/wire.hpp"
#include "serve/fetch_internal.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

// How long a poll may go on looking for something in a long log after its time is up: clients wait
// 10 s longer than they asked for.
constexpr Nanos kOvertime = 5 * kSecond;
// An entry that is passed over costs below 1 us, one that is copied a little more.
constexpr std::size_t kEntriesPerTurn = 10'000;

}  // namespace

Value FetchService::lost(TopicFilter& filter, std::uint64_t position) const {
  const std::uint64_t last = filter.evicted(journal_.events().topics());
  if (last <= position) return {};
  return Value::Map{{"first", position_text(position + 1)}, {"last", position_text(last)}};
}

void FetchService::add_poll(Poll poll) {
  if (poll.consumer != nullptr) {
    poll.at = std::max(poll.consumer->kept.position, poll.consumer->clear);
    if (poll.state != Poll::State::kStandby) poll.consumer->polled = true;
  }
  if (poll.state == Poll::State::kReading) ++reading_;
  polls_.push_back(std::move(poll));
  changed_ = true;
}

FetchService::Polls::iterator FetchService::poll_of(const StoredConsumer& consumer,
                                                    std::string_view client) {
  return std::find_if(polls_.begin(), polls_.end(), [&](const Poll& poll) {
    return poll.consumer == &consumer && poll.client == client;
  });
}

void FetchService::drop(Polls::iterator poll) {
  if (poll->state == Poll::State::kReading) --reading_;
  if (poll->consumer != nullptr && poll->state != Poll::State::kStandby) {
    poll->consumer->polled = false;
  }
  polls_.erase(poll);
  changed_ = true;
}

void FetchService::drop_polls_of(const StoredConsumer& consumer, std::string_view code,
                                 std::string_view message) {
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    const auto next = std::next(poll);
    if (poll->consumer == &consumer) {
      refuse(poll->peer, poll->request, code, message);
      drop(poll);
    }
    poll = next;
  }
}

void FetchService::wake(const StoredConsumer& consumer) {
  if (!consumer.polled) return;
  for (Poll& poll : polls_) {
    if (poll.consumer != &consumer || poll.state != Poll::State::kWaiting) continue;
    poll.state = Poll::State::kReading;
    ++reading_;
  }
}

/// Who waits for what has come since the last time.
void FetchService::look_at_journal() {
  if (journal_.blocked() || journal_.events().count() == count_) return;
  count_ = journal_.events().count();
  fresh_.clear();
  last_.resize(journal_.events().topics().size());
  for (std::uint32_t topic = 1; topic < journal_.events().topics().size(); ++topic) {
    if (std::exchange(last_[topic], journal_.events().topics()[topic].last) != last_[topic])
      fresh_.push_back(topic);
  }
  for (Poll& poll : polls_) {
    if (poll.state != Poll::State::kWaiting) continue;
    const bool wanted = std::any_of(fresh_.begin(), fresh_.end(), [&](std::uint32_t topic) {
      return poll.filter().wants(journal_.events().topics(), topic);
    });
    if (wanted) {
      poll.state = Poll::State::kReading;
      ++reading_;
    } else {
      poll.at = journal_.events().last_position();
      if (poll.consumer != nullptr) poll.consumer->clear = poll.at;
    }
  }
}

/// Whose time is up, and who may take over.
void FetchService::look_at_time(const Now& now) {
  if (!changed_ && (!deadline_ || now.mono < *deadline_)) return;
  const bool blocked = journal_.blocked();
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    const auto next = std::next(poll);
    const bool late = now.mono >= poll->deadline;
    switch (poll->state) {
      case Poll::State::kStandby:
        if (!blocked && is_free(*poll->consumer, poll->client, now.mono)) {
          take_over(*poll->consumer, poll->client);
          set_lease(*poll->consumer, poll->lease, now.mono);
          poll->consumer->polled = true;
          poll->state = Poll::State::kReading;
          poll->at = std::max(poll->consumer->kept.position, poll->consumer->clear);
          poll->unwritten = poll->consumer->before != nullptr;
          ++reading_;
        } else if (late) {
          answer_standby(*poll, now);
          drop(poll);
        }
        break;
      case Poll::State::kWaiting:
        if (late) {
          answer_empty(*poll, now);
          drop(poll);
        }
        break;
      case Poll::State::kReading:
        if (now.mono >= poll->deadline + kOvertime) {
          answer_empty(*poll, now);
          drop(poll);
        }
        break;
    }
    poll = next;
  }
}

void FetchService::serve(const Now& now) {
  entries_ = 0;
  const auto last = polls_.empty() ? polls_.end() : std::prev(polls_.end());
  for (auto poll = polls_.begin(); reading_ > 0 && poll != polls_.end();) {
    const bool is_last = poll == last;
    const auto next = std::next(poll);
    if (poll->state == Poll::State::kReading) {
      if (entries_ >= kEntriesPerTurn) return;
      if (read_slice(*poll, now)) {
        drop(poll);
      } else {
        // The others have their turn first.
        polls_.splice(polls_.end(), polls_, poll);
      }
    }
    if (is_last) return;
    poll = next;
  }
}

/// True: it was answered.
bool FetchService::read_slice(Poll& poll, const Now& now) {
  std::string body = spare();
  WireWriter writer(body);
  std::size_t fields = 0;
  const std::size_t map = writer.open_map();
  begin_reply(writer, poll.request, fields);
  writer.text("events");
  const std::size_t list = writer.open_array();
  const std::size_t begin = body.size();

  TopicFilter& filter = poll.filter();
  const std::uint32_t id = poll.consumer != nullptr ? poll.consumer->id : 0;
  const std::set<std::uint64_t>* failed =
      poll.consumer != nullptr && !poll.consumer->failed.empty() ? &poll.consumer->failed : nullptr;
  poll.at = std::max(poll.at, poll.begin());
  std::size_t read = 0;
  std::size_t count = 0;
  bool at_end = true;
  journal_.events().read(poll.at, [&](const EventLog::Entry& entry) {
    if (read == kEntriesPerTurn || count == poll.limit) return at_end = false;
    const bool wanted = (entry.consumer == 0 || entry.consumer == id) &&
                        filter.wants(journal_.events().topics(), entry.topic) &&
                        (failed == nullptr || !failed->contains(entry.position));
    if (wanted) {
      if (count > 0 && body.size() - begin + entry.body.size() > kMaxReply) return at_end = false;
      if (count == 0 && poll.consumer != nullptr) poll.consumer->clear = poll.at;
      writer.raw(entry.body);
      ++count;
    }
    ++read;
    poll.at = entry.position;
    poll.number = entry.number;
    return true;
  });
  entries_ += std::max<std::size_t>(read, 64);
  // Nothing will ever get a position up to the last one given.
  if (at_end && !journal_.blocked()) poll.at = std::max(poll.at, journal_.events().last_position());
  if (count == 0 && poll.consumer != nullptr) poll.consumer->clear = poll.at;
  const bool more_comes = poll.consumer != nullptr && poll.consumer->kept.snapshot;
  if (count == 0 && (!at_end || now.mono < (more_comes ? poll.deadline : poll.asked))) {
    if (at_end) {
      poll.state = Poll::State::kWaiting;
      --reading_;
      changed_ = true;
    }
    spares_.push_back(std::move(body));
    return false;
  }
  writer.close_array(list, count);
  ++fields;
  end_reply(writer, poll, at_end, fields, now);
  writer.close_map(map, fields);
  put(poll.peer, poll.request, std::move(body),
      poll.consumer != nullptr && poll.consumer->before != nullptr);
  return true;
}

void FetchService::end_reply(WireWriter& writer, Poll& poll, bool at_end, std::size_t& fields,
                             const Now& now) {
  writer.text("cursor");
  writer.position(poll.at);
  writer.text("behind");
  std::uint64_t behind = 0;
  if (!at_end) {
    if (poll.number == 0) poll.number = journal_.events().number_at(poll.at);
    behind = journal_.events().count() - std::min(poll.number, journal_.events().count());
  }
  if (poll.consumer != nullptr && poll.consumer->kept.snapshot) {
    behind = std::max<std::uint64_t>(behind, 1);
  }
  writer.integer(static_cast<std::int64_t>(behind));
  writer.text("lost");
  writer.value(lost(poll.filter(), poll.begin()));
  fields += 3;
  if (poll.created) {
    writer.text("created");
    writer.boolean(true);
    ++fields;
  }
  if (poll.consumer == nullptr) return;
  poll.consumer->delivered = std::max(poll.consumer->delivered, poll.at);
  poll.consumer->expires = now.mono + poll.lease;
}

void FetchService::answer_empty(Poll& poll, const Now& now) {
  if (poll.state == Poll::State::kStandby) return answer_standby(poll, now);
  std::string body;
  WireWriter writer(body);
  std::size_t fields = 1;
  const std::size_t map = writer.open_map();
  begin_reply(writer, poll.request, fields);
  writer.text("events");
  writer.array(0);
  poll.at = std::max(poll.at, poll.begin());
  end_reply(writer, poll, poll.state == Poll::State::kWaiting, fields, now);
  writer.close_map(map, fields);
  put(poll.peer, poll.request, std::move(body),
      poll.consumer != nullptr && poll.consumer->before != nullptr);
}

void FetchService::answer_standby(Poll& poll, const Now& now) {
  const StoredConsumer& consumer = *poll.consumer;
  const Nanos left =
      consumer.polled ? consumer.kept.lease : std::max<Nanos>(0, consumer.expires - now.mono);
  const Request request{poll.peer, poll.request, poll.request, true, now};
  answer(request, {{"standby", Value::Map{{"expires_in", seconds(left)}}}});
}

}  // namespace inotifier
