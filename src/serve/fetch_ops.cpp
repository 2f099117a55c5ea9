// What each op of the fetch service does, in the order of clients/README.md.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "serve/fetch_internal.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

constexpr std::int64_t kDefaultLimit = 256;
constexpr std::int64_t kMaxLimit = 4096;
constexpr Nanos kMaxWait = 60 * kSecond;
constexpr Nanos kDefaultLease = 60 * kSecond;
constexpr Nanos kMaxLease = 3600 * kSecond;
// `seen` is written at most so often if there is nothing else to write.
constexpr Nanos kSeenInterval = 600 * kSecond;
// A fetch that does not want to wait is not told that there is nothing while a state is under way.
constexpr Nanos kStateWait = kSecond;
constexpr std::size_t kRetriedAtOnce = 500;
constexpr std::size_t kMaxReason = 4096;

Value::Array list_of(const std::vector<std::string>& names) {
  return Value::Array(names.begin(), names.end());
}

}  // namespace

void FetchService::check_stream(const Arguments& arguments, bool required) const {
  const auto stream = arguments.text("stream", 64);
  if (!stream && required)
    fail_with("bad_request", "stream is missing: what are the positions of?");
  if (stream && *stream != journal_.events().stream()) {
    fail_with("stream_changed",
              "the journal was begun anew; positions of the earlier one mean "
              "nothing here");
  }
}

void FetchService::check_writable() const {
  if (journal_.blocked()) fail_with("busy", std::string(kBusy));
}

void FetchService::check_polls(Nanos wait) const {
  if (polls_.size() >= (wait > 0 ? kMaxPolls : 2 * kMaxPolls)) {
    fail_with("busy", fmt::format("{} polls wait already", polls_.size()));
  }
}

StoredConsumer& FetchService::consumer_of(const Arguments& arguments) {
  const std::string name = arguments.name();
  StoredConsumer* consumer = consumers_.find(name);
  if (consumer == nullptr) fail_with("unknown_consumer", "there is no consumer " + name);
  return *consumer;
}

void FetchService::check_owner(const StoredConsumer& consumer, std::string_view client) {
  if (consumer.kept.owner == client) return;
  fail_with("not_owner", consumer.kept.owner.empty()
                             ? "nobody has the consumer: it was released, or moved by seek"
                             : "another client has the consumer");
}

void FetchService::check_delivered(const StoredConsumer& consumer, std::uint64_t position) {
  // What was delivered before this start is not known any more; and after a power cut the client
  // may know positions that we do not. Whatever is said again, or new, has a later one.
  if (position > std::max({consumer.delivered, consumer.kept.position, consumer.trusted})) {
    fail_with("bad_ack", "that position was not delivered to this consumer");
  }
}

void FetchService::move_to(StoredConsumer& consumer, std::uint64_t position) {
  if (position <= consumer.kept.position) return;
  consumers_.change(consumer);
  consumer.kept.position = position;
}

void FetchService::note_seen(StoredConsumer& consumer, const Now& now) {
  if (!journal_.blocked() && now.wall - consumer.seen_written >= kSeenInterval) {
    consumers_.change(consumer);
  }
  consumer.kept.seen = now.wall;
}

void FetchService::set_lease(StoredConsumer& consumer, Nanos lease, Nanos mono) {
  if (consumer.kept.lease != lease && !journal_.blocked()) {
    consumers_.change(consumer);
    consumer.kept.lease = lease;
  }
  consumer.expires = mono + lease;
}

bool FetchService::is_free(const StoredConsumer& consumer, std::string_view client, Nanos mono) {
  return consumer.kept.owner.empty() || consumer.kept.owner == client ||
         (consumer.expires <= mono && !consumer.polled);
}

void FetchService::take_over(StoredConsumer& consumer, std::string_view client) {
  if (consumer.kept.owner == client) return;
  consumers_.change(consumer);
  consumer.kept.owner = client;
}

void FetchService::hello(Request& request) {
  const Arguments arguments(request.body, {});
  const auto last = journal_.database()->number("SELECT coalesce(max(position), 0) FROM events");
  const auto text = [](std::uint64_t position) {
    return position == 0 ? std::string("0") : position_text(position);
  };
  answer(request, {{"version", version_},
                   {"daemon", journal_.events().daemon_name()},
                   {"time", rfc3339(request.now.wall)},
                   {"first", text(journal_.events().first_position())},
                   {"last", text(static_cast<std::uint64_t>(last))},
                   {"access", request.may_change ? "all" : "read"}});
}

void FetchService::fetch(Request& request) {
  if (request.body.find("consumer") == nullptr) return read_from(request);
  if (!request.may_change) {
    fail_with("not_allowed", "this key may only read: fetch without a consumer");
  }
  fetch_for(request);
}

void FetchService::read_from(Request& request) {
  const Arguments arguments(request.body,
                            {"after", "since", "stream", "types", "watches", "limit", "wait"});
  const auto after = arguments.position("after");
  const auto since = arguments.time("since");
  if (after.has_value() == since.has_value()) {
    fail_with("bad_request", "fetch needs either consumer, or after, or since");
  }
  check_stream(arguments, after.value_or(0) != 0);
  const Nanos wait = arguments.duration("wait", 0, kMaxWait).value_or(0);
  Poll poll;
  poll.limit =
      static_cast<std::size_t>(arguments.integer("limit", 1, kMaxLimit).value_or(kDefaultLimit));
  poll.own_filter = TopicFilter({arguments.types().value_or(std::vector<std::string>()),
                                 arguments.watches().value_or(std::vector<std::string>())});
  check_polls(wait);
  poll.from = poll.at = after ? *after : journal_.events().position_before(*since);
  poll.peer = std::move(request.peer);
  poll.request = request.id;
  poll.asked = poll.deadline = request.now.mono + wait;
  add_poll(std::move(poll));
}

StoredConsumer& FetchService::make_consumer(const Arguments& arguments, const std::string& name,
                                            EventFilter filter, std::optional<std::uint64_t> acked,
                                            const Now& now) {
  const std::string start = arguments.text("start", 16).value_or("oldest");
  if (acked && *acked > journal_.events().started_after()) {
    fail_with("bad_ack", "there is no consumer " + name + " any more");
  }
  if (consumers_.size() >= kMaxConsumers) {
    fail_with("busy", fmt::format("there are {} consumers already: forget some", kMaxConsumers));
  }
  check_writable();
  StoredConsumer& consumer = consumers_.add(name);
  consumer.filter = TopicFilter(std::move(filter));
  consumer.kept.created = consumer.kept.seen = now.wall;
  if (start != "oldest") consumer.kept.position = journal_.events().last_position();
  if (start == "state") {
    consumer.kept.snapshot = Snapshot::beginning();
    snapshots_.push_back(name);
  }
  consumer.kept.position = std::max(consumer.kept.position, acked.value_or(0));
  consumer.delivered = consumer.kept.position;
  return consumer;
}

void FetchService::fetch_for(Request& request) {
  const Arguments arguments(request.body, {"consumer", "client", "stream", "ack", "types",
                                           "watches", "limit", "wait", "lease", "start", "create"});
  const Now& now = request.now;
  const std::string name = arguments.name();
  Poll poll;
  poll.client = arguments.client();
  const auto acked = arguments.position("ack");
  check_stream(arguments, acked.has_value());
  poll.limit =
      static_cast<std::size_t>(arguments.integer("limit", 1, kMaxLimit).value_or(kDefaultLimit));
  poll.lease = arguments.duration("lease", kSecond, kMaxLease).value_or(kDefaultLease);
  // A poll keeps the lease: nobody knows whether the one who waits is still there.
  const Nanos wait = std::min(arguments.duration("wait", 0, kMaxWait).value_or(0), poll.lease);
  const bool create = arguments.boolean("create").value_or(true);
  const std::string start = arguments.text("start", 16).value_or("oldest");
  if (start != "oldest" && start != "now" && start != "state") {
    fail_with("bad_request", "start must be oldest, now or state");
  }
  auto types = arguments.types();
  auto watches = arguments.watches();
  check_polls(wait);

  StoredConsumer* consumer = consumers_.find(name);
  if (consumer == nullptr) {
    if (!create) fail_with("unknown_consumer", "there is no consumer " + name);
    EventFilter filter;
    if (types) filter.types = std::move(*types);
    if (watches) filter.watches = std::move(*watches);
    consumer = &make_consumer(arguments, name, std::move(filter), acked, now);
    poll.created = true;
  } else {
    const EventFilter& filter = consumer->filter.filter();
    if ((types && *types != filter.types) || (watches && *watches != filter.watches)) {
      fail_with("bad_request", "consumer " + name +
                                   " was made with other types or watches: use update, or another "
                                   "name");
    }
    if (acked) {
      check_owner(*consumer, poll.client);
      check_delivered(*consumer, *acked);
      if (*acked > consumer->kept.position) check_writable();
    }
    if (is_free(*consumer, poll.client, now.mono) && consumer->kept.owner != poll.client) {
      check_writable();
    }
    if (acked) move_to(*consumer, *acked);
  }
  note_seen(*consumer, now);

  const auto older = poll_of(*consumer, poll.client);
  if (older != polls_.end()) {
    older->state == Poll::State::kStandby ? answer_standby(*older, now) : answer_empty(*older, now);
    drop(older);
  }
  if (is_free(*consumer, poll.client, now.mono)) {
    take_over(*consumer, poll.client);
    set_lease(*consumer, poll.lease, now.mono);
    poll.state = Poll::State::kReading;
  } else {
    poll.state = Poll::State::kStandby;
  }
  poll.consumer = consumer;
  poll.unwritten = consumer->before != nullptr;
  poll.peer = std::move(request.peer);
  poll.request = request.id;
  poll.asked = poll.deadline = now.mono + wait;
  if (consumer->kept.snapshot && poll.state == Poll::State::kReading) {
    poll.deadline = std::max(poll.deadline, now.mono + kStateWait);
  }
  add_poll(std::move(poll));
}

void FetchService::ack(Request& request) {
  const Arguments arguments(request.body, {"consumer", "client", "stream", "ack"});
  const std::string client = arguments.client();
  const std::uint64_t position = arguments.required_position("ack");
  check_stream(arguments, true);
  StoredConsumer& consumer = consumer_of(arguments);
  check_owner(consumer, client);
  check_delivered(consumer, position);
  if (position > consumer.kept.position) check_writable();
  move_to(consumer, position);
  note_seen(consumer, request.now);
  consumer.expires = request.now.mono + consumer.kept.lease;
  answer(request, {{"position", position_text(consumer.kept.position)}},
         consumer.before != nullptr);
}

void FetchService::touch(Request& request) {
  const Arguments arguments(request.body, {"consumer", "client", "lease"});
  const std::string client = arguments.client();
  const auto lease = arguments.duration("lease", kSecond, kMaxLease);
  StoredConsumer& consumer = consumer_of(arguments);
  check_owner(consumer, client);
  note_seen(consumer, request.now);
  set_lease(consumer, lease.value_or(consumer.kept.lease), request.now.mono);
  answer(request, {{"expires_in", seconds(consumer.expires - request.now.mono)}},
         consumer.before != nullptr);
}

void FetchService::release(Request& request) {
  const Arguments arguments(request.body, {"consumer", "client"});
  const std::string client = arguments.client();
  StoredConsumer& consumer = consumer_of(arguments);
  const auto poll = poll_of(consumer, client);
  if (poll != polls_.end() && poll->state == Poll::State::kStandby) {
    // It leaves without having had its turn, which would come to nobody.
    answer_standby(*poll, request.now);
    drop(poll);
    return answer(request, {});
  }
  check_owner(consumer, client);
  check_writable();
  if (poll != polls_.end()) {
    answer_empty(*poll, request.now);
    drop(poll);
  }
  note_seen(consumer, request.now);
  consumers_.change(consumer);
  consumer.kept.owner.clear();
  consumer.expires = request.now.mono;
  answer(request, {}, true);
}

void FetchService::update(Request& request) {
  const Arguments arguments(request.body, {"consumer", "types", "watches"});
  auto types = arguments.types();
  auto watches = arguments.watches();
  StoredConsumer& consumer = consumer_of(arguments);
  EventFilter filter = consumer.filter.filter();
  if (types) filter.types = std::move(*types);
  if (watches) filter.watches = std::move(*watches);
  if (filter != consumer.filter.filter()) {
    check_writable();
    consumers_.change(consumer, true);
    consumer.filter = TopicFilter(std::move(filter));
    consumer.clear = 0;
    for (Poll& poll : polls_) {
      if (poll.consumer == &consumer) poll.at = consumer.kept.position;
    }
    wake(consumer);
  }
  note_seen(consumer, request.now);
  answer(request,
         {{"types", list_of(consumer.filter.filter().types)},
          {"watches", list_of(consumer.filter.filter().watches)}},
         consumer.before != nullptr);
}

void FetchService::fail(Request& request) {
  const Arguments arguments(request.body,
                            {"consumer", "client", "stream", "position", "reason", "tries"});
  const std::string client = arguments.client();
  const std::string reason = arguments.text("reason", kMaxReason).value_or("");
  Consumers::Failure failure;
  failure.position = arguments.required_position("position");
  failure.tries = arguments.integer("tries", 0, 1'000'000'000).value_or(1);
  failure.reason = reason;
  failure.time = request.now.wall;
  check_stream(arguments, true);
  StoredConsumer* consumer = &consumer_of(arguments);
  check_owner(*consumer, client);
  check_delivered(*consumer, failure.position);
  if (consumer->failed.size() >= kMaxFailures) {
    fail_with("busy", fmt::format("{} events of {} have failed already: retry or forget them",
                                  kMaxFailures, consumer->name));
  }
  check_writable();
  if (!flush() || (consumer = consumers_.find(arguments.name())) == nullptr) {
    fail_with("busy", std::string(kBusy));
  }
  work_ += 8;
  note_seen(*consumer, request.now);
  consumer->expires = request.now.mono + consumer->kept.lease;
  bool kept = false;
  if (!consumers_.fail(*consumer, failure, kept)) fail_with("busy", std::string(kBusy));
  answer(request, {{"kept", kept}, {"failed", static_cast<std::int64_t>(consumer->failed.size())}});
}

void FetchService::failed(Request& request) {
  const Arguments arguments(request.body, {"consumer", "after", "limit"});
  const std::uint64_t after = arguments.position("after").value_or(0);
  const auto limit =
      static_cast<std::size_t>(arguments.integer("limit", 1, kMaxLimit).value_or(kDefaultLimit));
  const StoredConsumer& consumer = consumer_of(arguments);
  std::string body = spare();
  WireWriter writer(body);
  std::size_t fields = 0;
  const std::size_t map = writer.open_map();
  begin_reply(writer, request.id, fields);
  writer.text("failed");
  const std::size_t list = writer.open_array();
  std::size_t count = 0;
  bool more = false;
  const std::size_t begin = body.size();
  consumers_.failures(consumer, after, [&](const Consumers::Failure& failure) {
    more = count == limit || (count > 0 && body.size() - begin + failure.body.size() > kMaxReply);
    if (more) return false;
    ++count;
    writer.map(5);
    writer.text("position");
    writer.position(failure.position);
    writer.text("time");
    writer.text(rfc3339(failure.time));
    writer.text("reason");
    writer.text(failure.reason);
    writer.text("tries");
    writer.integer(failure.tries);
    writer.text("event");
    writer.raw(failure.body);
    return true;
  });
  writer.close_array(list, count);
  writer.text("more");
  writer.boolean(more);
  writer.close_map(map, fields + 2);
  work_ += count / 16;
  put(request.peer, request.id, std::move(body), consumer.before != nullptr);
}

void FetchService::retry(Request& request) {
  const Arguments arguments(request.body, {"consumer", "positions"});
  const auto positions = arguments.positions("positions");
  StoredConsumer* consumer = &consumer_of(arguments);
  check_writable();
  if (!flush() || (consumer = consumers_.find(arguments.name())) == nullptr) {
    fail_with("busy", std::string(kBusy));
  }
  bool more = false;
  const auto count = consumers_.retry(*consumer, positions, kRetriedAtOnce, request.now.wall, more);
  if (!count) fail_with("busy", std::string(kBusy));
  work_ += *count / 8;
  if (*count > 0) wake(*consumer);
  note_seen(*consumer, request.now);
  answer(request, {{"retried", static_cast<std::int64_t>(*count)}, {"more", more}});
}

void FetchService::seek(Request& request) {
  const Arguments arguments(request.body, {"consumer", "to", "stream"});
  const std::string to = arguments.required_text("to", 64);
  check_stream(arguments, false);
  StoredConsumer& consumer = consumer_of(arguments);
  check_writable();
  std::uint64_t position = journal_.events().last_position();
  if (to == "start") {
    const std::uint64_t first = journal_.events().first_position();
    if (first > 0) position = first - 1;
  } else if (const auto at = parse_position(to)) {
    if (*at > position) fail_with("bad_request", "to: there is no such position yet");
    position = *at;
  } else if (const auto time = parse_rfc3339(to)) {
    position = journal_.events().position_before(*time);
  } else if (to != "now") {
    fail_with("bad_request", "to must be start, now, a position of 20 digits or an RFC 3339 time");
  }
  consumers_.change(consumer, true);
  consumer.kept.position = consumer.delivered = position;
  consumer.trusted = 0;
  consumer.clear = 0;
  consumer.kept.owner.clear();
  consumer.kept.snapshot.reset();
  consumer.expires = request.now.mono;
  note_seen(consumer, request.now);
  const auto poll = std::find_if(polls_.begin(), polls_.end(), [&](const Poll& each) {
    return each.consumer == &consumer && each.state != Poll::State::kStandby;
  });
  if (poll != polls_.end()) {
    refuse(poll->peer, poll->request, "not_owner", "the consumer was moved by seek");
    drop(poll);
  }
  answer(request, {{"position", position_text(position)}}, true);
}

void FetchService::list(Request& request) {
  const Arguments arguments(request.body, {});
  Value::Array all;
  bool unwritten = false;
  consumers_.each([&](StoredConsumer& consumer) {
    const StoredConsumer::Kept& kept = consumer.kept;
    const bool owned =
        !kept.owner.empty() && (consumer.expires > request.now.mono || consumer.polled);
    Value::Map entry{
        {"name", consumer.name},
        {"position", position_text(kept.position)},
        {"behind", static_cast<std::int64_t>(consumers_.behind(consumer, kept.position))},
        {"types", list_of(consumer.filter.filter().types)},
        {"watches", list_of(consumer.filter.filter().watches)},
        {"created", rfc3339(kept.created)},
        {"last_seen", rfc3339(kept.seen)},
        {"owned", owned},
        {"expires_in",
         owned ? Value(seconds(consumer.polled ? kept.lease : consumer.expires - request.now.mono))
               : Value()},
        {"failed", static_cast<std::int64_t>(consumer.failed.size())},
        {"lost", lost(consumer.filter, kept.position)}};
    all.emplace_back(std::move(entry));
    unwritten = unwritten || consumer.before != nullptr;
  });
  work_ += all.size() / 16;
  answer(request, {{"consumers", std::move(all)}}, unwritten);
}

void FetchService::forget(Request& request) {
  const Arguments arguments(request.body, {"consumer"});
  StoredConsumer* consumer = &consumer_of(arguments);
  check_writable();
  if (!flush() || (consumer = consumers_.find(arguments.name())) == nullptr) {
    fail_with("busy", std::string(kBusy));
  }
  work_ += 8;
  const std::string name = consumer->name;
  drop_polls_of(*consumer, "unknown_consumer", "the consumer " + name + " was forgotten");
  if (!consumers_.forget(*consumer)) fail_with("busy", std::string(kBusy));
  log::info("consumer {}: forgotten", name);
  answer(request, {});
}

void FetchService::status(Request& request) {
  const Arguments arguments(request.body, {});
  const auto count = journal_.events().count();
  const auto first = journal_.events().first_position();
  const auto kept =
      journal_.database()->number("SELECT coalesce(max(number) - min(number) + 1, 0) FROM events");
  Value::Map fields{
      {"version", version_},
      {"daemon", journal_.events().daemon_name()},
      {"pid", static_cast<std::int64_t>(::getpid())},
      {"started", rfc3339(started_)},
      {"time", rfc3339(request.now.wall)},
      {"ready", !journal_.blocked()},
      {"journal", Value::Map{{"path", journal_.options().path},
                             {"bytes", journal_.events().bytes()},
                             {"retain_size", journal_.options().retain_size},
                             {"kept", kept},
                             {"count", static_cast<std::int64_t>(count)},
                             {"first", first == 0 ? std::string("0") : position_text(first)},
                             {"last", position_text(journal_.events().last_position())},
                             {"blocked", journal_.blocked()}}},
      {"watches", Value::Array()},
      {"consumers", static_cast<std::int64_t>(consumers_.size())},
      {"polls", static_cast<std::int64_t>(polls_.size())},
      {"malformed", static_cast<std::int64_t>(malformed_)}};
  if (fill_status_) fill_status_(fields);
  answer(request, std::move(fields));
}

}  // namespace inotifier
