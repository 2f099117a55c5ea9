// Operations that change a consumer as a whole: update, seek, forget.
#include <array>
#include <utility>

#include "base/log.hpp"
#include "base/rfc3339.hpp"
#include "serve/operation.hpp"

namespace inotifier {
namespace {

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
    consumer.filter = TopicFilter(filter);
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
