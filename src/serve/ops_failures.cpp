// Operations about events that could not be processed: fail, failed, retry.
#include <fmt/core.h>

#include <array>
#include <utility>

#include "base/rfc3339.hpp"
#include "serve/operation.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kRetriedAtOnce = 500;
constexpr std::int64_t kMaxTries = 1'000'000'000;

void fail(FetchContext& context, Request& request) {
  const Arguments arguments(request.body,
                            {"consumer", "client", "stream", "position", "reason", "tries"});
  const std::string client = arguments.client();
  const std::string reason = arguments.text("reason", kMaxReason).value_or("");
  Consumers::Failure failure;
  failure.position = arguments.required_position("position");
  failure.tries = arguments.integer("tries", 0, kMaxTries).value_or(1);
  failure.reason = reason;
  failure.time = request.now.wall;
  context.check_stream(arguments, true);
  StoredConsumer& before = context.consumer_of(arguments);
  Ownership::check(before, client);
  FetchContext::check_delivered(before, failure.position);
  if (before.failed.size() >= kMaxFailures) {
    throw Refusal{"busy", fmt::format("{} events of {} have failed already: retry or forget them",
                                      kMaxFailures, before.name)};
  }
  StoredConsumer& consumer = context.flushed_consumer_of(arguments);
  context.work += 8;
  context.ownership.note_seen(consumer, request.now);
  Ownership::renew(consumer, request.now.mono);
  bool kept = false;
  if (!context.consumers.fail(consumer, failure, kept)) throw Refusal{"busy", std::string(kBusy)};
  context.replies.answer(
      request.to, {{"kept", kept}, {"failed", static_cast<std::int64_t>(consumer.failed.size())}});
}

void failed(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "after", "limit"});
  const std::uint64_t after = arguments.position("after").value_or(0);
  const auto limit =
      static_cast<std::size_t>(arguments.integer("limit", 1, kMaxLimit).value_or(kDefaultLimit));
  const StoredConsumer& consumer = context.consumer_of(arguments);
  std::string body = context.replies.buffer();
  ReplyWriter reply(body, context.journal.events().stream(), request.to.request);
  WireWriter& writer = reply.field("failed");
  const std::size_t list = writer.open_array();
  std::size_t count = 0;
  bool more = false;
  const std::size_t begin = body.size();
  context.consumers.failures(consumer, after, [&](const Consumers::Failure& failure) {
    more = count == limit ||
           (count > 0 && body.size() - begin + failure.body.size() > context.replies.limit());
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
  reply.field("more").boolean(more);
  reply.finish();
  context.work += count / 16;
  context.replies.put(request.to, std::move(body), consumer.before != nullptr);
}

void retry(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"consumer", "positions"});
  const auto positions = arguments.positions("positions");
  context.consumer_of(arguments);
  StoredConsumer& consumer = context.flushed_consumer_of(arguments);
  bool more = false;
  const auto count =
      context.consumers.retry(consumer, positions, kRetriedAtOnce, request.now.wall, more);
  if (!count) throw Refusal{"busy", std::string(kBusy)};
  context.work += *count / 8;
  if (*count > 0) context.polls.wake(consumer);
  context.ownership.note_seen(consumer, request.now);
  context.replies.answer(request.to,
                         {{"retried", static_cast<std::int64_t>(*count)}, {"more", more}});
}

}  // namespace

std::span<const Operation> failure_operations() {
  static constexpr std::array kOperations{
      Operation{"fail", true, fail},
      Operation{"failed", false, failed},
      Operation{"retry", true, retry},
  };
  return kOperations;
}

}  // namespace inotifier
