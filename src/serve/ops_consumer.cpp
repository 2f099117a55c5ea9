// Operations that change a consumer as a whole: update, seek, forget.
#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "base/rfc3339.hpp"
#include "serve/operation.hpp"

namespace inotifier {
namespace {

/// Up to where everything that `filter` wants was wanted before as well: an ack of a batch that is
/// in work may go there, and not pass over what was not delivered.
std::uint64_t known_until(EventLog& events, StoredConsumer& consumer, TopicFilter& filter) {
  constexpr std::size_t kEntriesAtOnce = 10'000;
  const std::uint64_t end = std::max(consumer.delivered, consumer.trusted);
  std::uint64_t until = consumer.kept.position;
  std::size_t count = 0;
  bool all = true;
  events.read(until, [&](const EventLog::Entry& entry) {
    if (entry.position > end) return false;
    const bool is_new = entry.consumer == 0 && filter.wants(events.topics(), entry.topic) &&
                        !consumer.filter.wants(events.topics(), entry.topic);
    if (is_new || ++count > kEntriesAtOnce) return all = false;
    until = entry.position;
    return true;
  });
  return all ? std::max(end, until) : until;
}

void update(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "types", "watches"});
  auto types = arguments.types();
  auto watches = arguments.watches();
  StoredConsumer& consumer = context.consumer_of(arguments);
  EventFilter filter = consumer.filter.filter();
  if (types) filter.types = std::move(*types);
  if (watches) filter.watches = std::move(*watches);
  if (filter != consumer.filter.filter()) {
    context.check_writable();
    context.consumers.change(consumer, true);
    TopicFilter wanted(filter);
    Consumers::doubt_beyond(consumer, known_until(context.journal.events(), consumer, wanted));
    consumer.filter = std::move(wanted);
    consumer.clear = 0;
    context.polls.rewind(consumer);
  }
  context.ownership.note_seen(consumer, request.now);
  context.replies.answer(request.to,
                         {{"types", Value::Array(filter.types.begin(), filter.types.end())},
                          {"watches", Value::Array(filter.watches.begin(), filter.watches.end())}},
                         consumer.before != nullptr);
}

std::uint64_t place_of(Journal& journal, const std::string& to) {
  const std::uint64_t last = journal.events().last_position();
  if (to == "now") return last;
  if (to == "start") {
    const std::uint64_t first = journal.events().first_position();
    return first > 0 ? first - 1 : last;
  }
  if (const auto position = parse_position(to)) {
    if (*position > last) throw Refusal{"bad_request", "to: there is no such position yet"};
    return *position;
  }
  if (const auto time = parse_rfc3339(to)) return journal.events().position_before(*time);
  throw Refusal{"bad_request",
                "to must be start, now, a position of 20 digits or an RFC 3339 time"};
}

void seek(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "to", "stream"});
  const std::string to = arguments.required_text("to", 64);
  context.check_stream(arguments, false);
  StoredConsumer& consumer = context.consumer_of(arguments);
  context.check_writable();
  const std::uint64_t position = place_of(context.journal, to);
  context.consumers.change(consumer, true);
  Consumers::doubt_beyond(consumer, position);
  consumer.kept.position = consumer.delivered = position;
  consumer.trusted = 0;
  consumer.clear = 0;
  consumer.kept.snapshot.reset();
  context.ownership.release(consumer, request.now.mono);
  context.ownership.note_seen(consumer, request.now);
  context.polls.refuse_owner_of(consumer, "not_owner", "the consumer was moved by seek");
  context.replies.answer(request.to, {{"position", position_text(position)}}, true);
}

void forget(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer"});
  context.consumer_of(arguments);
  StoredConsumer& consumer = context.flushed_consumer_of(arguments);
  context.work += 8;
  const std::string name = consumer.name;
  context.polls.refuse_all_of(consumer, "unknown_consumer",
                              "the consumer " + name + " was forgotten");
  if (!context.consumers.forget(consumer)) throw Refusal{"busy", std::string(kBusy)};
  log::info("consumer {}: forgotten", name);
  context.replies.answer(request.to, {});
}

}  // namespace

std::span<const Operation> consumer_operations() {
  static constexpr std::array kOperations{
      Operation{"update", true, update},
      Operation{"seek", true, seek},
      Operation{"forget", true, forget},
  };
  return kOperations;
}

}  // namespace inotifier
