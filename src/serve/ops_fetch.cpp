// Operations of a client that works on events: fetch, ack, touch, release.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "serve/operation.hpp"

namespace inotifier {
namespace {

// A fetch that does not want to wait is not told that there is nothing while a state is being made.
constexpr Nanos kStateWait = kSecond;

std::size_t limit_of(const Arguments& arguments) {
  return static_cast<std::size_t>(arguments.integer("limit", 1, kMaxLimit).value_or(kDefaultLimit));
}

/// A fetch without a consumer.
void read_from(FetchContext& context, Request& request) {
  const Arguments arguments(request.body,
                            {"after", "since", "stream", "types", "watches", "limit", "wait"});
  const auto after = arguments.position("after");
  const auto since = arguments.time("since");
  if (after.has_value() == since.has_value()) {
    throw Refusal{"bad_request", "fetch needs either consumer, or after, or since"};
  }
  context.check_stream(arguments, after.value_or(0) != 0);
  const Nanos wait = arguments.duration("wait", 0, kMaxWait).value_or(0);
  LongPoll poll;
  poll.limit = limit_of(arguments);
  poll.own_filter = TopicFilter({arguments.types().value_or(std::vector<std::string>()),
                                 arguments.watches().value_or(std::vector<std::string>())});
  context.polls.check_room(wait);
  poll.from = poll.at = after ? *after : context.journal.events().position_before(*since);
  poll.to = std::move(request.to);
  poll.asked = poll.deadline = request.now.mono + wait;
  context.polls.add(std::move(poll));
}

/// The arguments of a fetch for a consumer.
struct Fetch {
  explicit Fetch(const Value& body)
      : arguments(body, {"consumer", "client", "stream", "ack", "types", "watches", "limit", "wait",
                         "lease", "start", "create"}),
        name(arguments.name()),
        client(arguments.client()),
        acked(arguments.position("ack")),
        limit(limit_of(arguments)),
        lease(arguments.duration("lease", kSecond, kMaxLease).value_or(kDefaultLease)),
        // A poll keeps the lease: whether the client that waits is still there is not known.
        wait(std::min(arguments.duration("wait", 0, kMaxWait).value_or(0), lease)),
        create(arguments.boolean("create").value_or(true)),
        start(arguments.text("start", 16).value_or("oldest")),
        types(arguments.types()),
        watches(arguments.watches()) {
    if (start != "oldest" && start != "now" && start != "state") {
      throw Refusal{"bad_request", "start must be oldest, now or state"};
    }
  }

  Arguments arguments;
  std::string name;
  std::string client;
  std::optional<std::uint64_t> acked;
  std::size_t limit;
  Nanos lease;
  Nanos wait;
  bool create;
  std::string start;
  std::optional<std::vector<std::string>> types;
  std::optional<std::vector<std::string>> watches;
};

StoredConsumer& make_consumer(FetchContext& context, const Fetch& fetch, const Now& now) {
  if (!fetch.create) throw Refusal{"unknown_consumer", "there is no consumer " + fetch.name};
  if (fetch.acked && *fetch.acked > context.journal.events().started_after()) {
    throw Refusal{"bad_ack", "there is no consumer " + fetch.name + " any more"};
  }
  if (context.consumers.size() >= kMaxConsumers) {
    throw Refusal{"busy",
                  fmt::format("there are {} consumers already: forget some", kMaxConsumers)};
  }
  context.check_writable();
  StoredConsumer& consumer = context.consumers.add(fetch.name);
  consumer.filter = TopicFilter({fetch.types.value_or(std::vector<std::string>()),
                                 fetch.watches.value_or(std::vector<std::string>())});
  consumer.kept.created = consumer.kept.seen = now.wall;
  if (fetch.start != "oldest") consumer.kept.position = context.journal.events().last_position();
  if (fetch.start == "state") context.feed.add(consumer);
  consumer.kept.position = std::max(consumer.kept.position, fetch.acked.value_or(0));
  consumer.delivered = consumer.kept.position;
  return consumer;
}

void move_to(FetchContext& context, StoredConsumer& consumer, std::uint64_t position) {
  if (position <= consumer.kept.position) return;
  context.consumers.change(consumer);
  consumer.kept.position = position;
}

/// Throws Refusal before anything is changed.
void check_fetch(FetchContext& context, const Fetch& fetch, const StoredConsumer& consumer,
                 Nanos mono) {
  const EventFilter& filter = consumer.filter.filter();
  if ((fetch.types && *fetch.types != filter.types) ||
      (fetch.watches && *fetch.watches != filter.watches)) {
    throw Refusal{"bad_request",
                  fmt::format("consumer {0} was made with other types or watches: inotifier update "
                              "{0}, or another name",
                              fetch.name)};
  }
  if (fetch.acked) {
    Ownership::check(consumer, fetch.client);
    FetchContext::check_delivered(consumer, *fetch.acked);
    if (*fetch.acked > consumer.kept.position) context.check_writable();
  }
  if (consumer.kept.owner != fetch.client && Ownership::is_free(consumer, fetch.client, mono)) {
    context.check_writable();
  }
}

void fetch_for_consumer(FetchContext& context, Request& request) {
  const Now& now = request.now;
  const Fetch fetch(request.body);
  context.check_stream(fetch.arguments, fetch.acked.has_value());
  context.polls.check_room(fetch.wait);

  LongPoll poll;
  StoredConsumer* consumer = context.consumers.find(fetch.name);
  if (consumer == nullptr) {
    consumer = &make_consumer(context, fetch, now);
    poll.created = true;
  } else {
    check_fetch(context, fetch, *consumer, now.mono);
    if (fetch.acked) move_to(context, *consumer, *fetch.acked);
  }
  context.ownership.note_seen(*consumer, now);

  if (context.polls.state_of(*consumer, fetch.client)) {
    context.polls.answer(*consumer, fetch.client, now);
  }
  if (Ownership::is_free(*consumer, fetch.client, now.mono)) {
    context.ownership.take_over(*consumer, fetch.client);
    context.ownership.set_lease(*consumer, fetch.lease, now.mono);
    poll.state = LongPoll::State::kReading;
  } else {
    poll.state = LongPoll::State::kStandby;
  }
  poll.consumer = consumer;
  poll.client = fetch.client;
  poll.limit = fetch.limit;
  poll.lease = fetch.lease;
  poll.unwritten = consumer->before != nullptr;
  poll.to = std::move(request.to);
  poll.asked = poll.deadline = now.mono + fetch.wait;
  if (consumer->kept.snapshot && poll.state == LongPoll::State::kReading) {
    poll.deadline = std::max(poll.deadline, now.mono + kStateWait);
  }
  context.polls.add(std::move(poll));
}

void fetch(FetchContext& context, Request& request) {
  if (request.body.find("consumer") == nullptr) return read_from(context, request);
  if (!request.may_change) {
    throw Refusal{"not_allowed",
                  "this key may only read: fetch without a consumer, or let it have access = "
                  "\"all\" in its file "
                  "among the daemon's clients"};
  }
  fetch_for_consumer(context, request);
}

void ack(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "client", "stream", "ack"});
  const std::string client = arguments.client();
  const std::uint64_t position = arguments.required_position("ack");
  context.check_stream(arguments, true);
  StoredConsumer& consumer = context.consumer_of(arguments);
  Ownership::check(consumer, client);
  FetchContext::check_delivered(consumer, position);
  if (position > consumer.kept.position) context.check_writable();
  move_to(context, consumer, position);
  context.ownership.note_seen(consumer, request.now);
  Ownership::renew(consumer, request.now.mono);
  context.replies.answer(request.to, {{"position", position_text(consumer.kept.position)}},
                         consumer.before != nullptr);
}

void touch(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "client", "lease"});
  const std::string client = arguments.client();
  const auto lease = arguments.duration("lease", kSecond, kMaxLease);
  StoredConsumer& consumer = context.consumer_of(arguments);
  Ownership::check(consumer, client);
  context.ownership.note_seen(consumer, request.now);
  context.ownership.set_lease(consumer, lease.value_or(consumer.kept.lease), request.now.mono);
  context.replies.answer(request.to,
                         {{"expires_in", in_seconds(consumer.expires - request.now.mono)}},
                         consumer.before != nullptr);
}

void release(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "client"});
  const std::string client = arguments.client();
  StoredConsumer& consumer = context.consumer_of(arguments);
  const auto poll = context.polls.state_of(consumer, client);
  if (poll == LongPoll::State::kStandby) {
    // It leaves without having had its turn, which would come to nobody.
    context.polls.answer(consumer, client, request.now);
    return context.replies.answer(request.to, {});
  }
  Ownership::check(consumer, client);
  context.check_writable();
  if (poll) context.polls.answer(consumer, client, request.now);
  context.ownership.note_seen(consumer, request.now);
  context.ownership.release(consumer, request.now.mono);
  context.replies.answer(request.to, {}, true);
}

}  // namespace

std::span<const Operation> fetch_operations() {
  static constexpr std::array kOperations{
      Operation{"fetch", false, fetch},  // for a consumer: decides itself
      Operation{"ack", true, ack},
      Operation{"touch", true, touch},
      Operation{"release", true, release},
  };
  return kOperations;
}

}  // namespace inotifier
