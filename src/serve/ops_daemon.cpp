// Operations about the daemon: hello, status, consumers, explain.
#include <unistd.h>

#include <array>
#include <utility>

#include "base/rfc3339.hpp"
#include "serve/operation.hpp"

namespace inotifier {
namespace {

std::string text_of(std::uint64_t position) {
  return position == 0 ? std::string("0") : position_text(position);
}

void hello(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {});
  Journal& journal = context.journal;
  const auto last = journal.database()->number("SELECT coalesce(max(position), 0) FROM events");
  context.replies.answer(request.to, {{"version", context.version},
                                      {"daemon", journal.events().daemon_name()},
                                      {"time", rfc3339(request.now.wall)},
                                      {"first", text_of(journal.events().first_position())},
                                      {"last", text_of(static_cast<std::uint64_t>(last))},
                                      {"access", request.may_change ? "all" : "read"}});
}

void status(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {});
  Journal& journal = context.journal;
  const auto kept =
      journal.database()->number("SELECT coalesce(max(number) - min(number) + 1, 0) FROM events");
  Value::Map fields{
      {"version", context.version},
      {"daemon", journal.events().daemon_name()},
      {"pid", static_cast<std::int64_t>(::getpid())},
      {"started", rfc3339(context.started)},
      {"time", rfc3339(request.now.wall)},
      {"ready", !journal.blocked()},
      {"journal", Value::Map{{"path", journal.options().path},
                             {"bytes", journal.events().bytes()},
                             {"retain_size", journal.options().retain_size},
                             {"kept", kept},
                             {"count", static_cast<std::int64_t>(journal.events().count())},
                             {"first", text_of(journal.events().first_position())},
                             {"last", position_text(journal.events().last_position())},
                             {"blocked", journal.blocked()}}},
      {"watches", Value::Array()},
      {"consumers", static_cast<std::int64_t>(context.consumers.size())},
      {"polls", static_cast<std::int64_t>(context.polls.size())},
      {"malformed", static_cast<std::int64_t>(context.malformed)}};
  if (context.fill_status) context.fill_status(fields);
  context.replies.answer(request.to, std::move(fields));
}

void explain(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {"path"});
  const std::string path = arguments.path();
  context.work += 16;  // it looks at the disk
  context.replies.answer(
      request.to,
      {{"time", rfc3339(request.now.wall)},
       {"blocked", context.journal.blocked()},
       {"watches", context.explain ? context.explain(path, request.now) : Value::Array()}});
}

Value::Map describe(FetchContext& context, StoredConsumer& consumer, Nanos mono) {
  const StoredConsumer::Kept& kept = consumer.kept;
  const bool owned = Ownership::is_owned(consumer, mono);
  const EventFilter& filter = consumer.filter.filter();
  return {{"name", consumer.name},
          {"position", position_text(kept.position)},
          {"behind", static_cast<std::int64_t>(context.consumers.behind(consumer, kept.position))},
          {"types", Value::Array(filter.types.begin(), filter.types.end())},
          {"watches", Value::Array(filter.watches.begin(), filter.watches.end())},
          {"created", rfc3339(kept.created)},
          {"last_seen", rfc3339(kept.seen)},
          {"owned", owned},
          {"expires_in", owned ? Value(in_seconds(Ownership::time_left(consumer, mono))) : Value()},
          {"failed", static_cast<std::int64_t>(consumer.failed.size())},
          {"lost", lost_of(consumer.filter, context.journal, kept.position)}};
}

void consumers(FetchContext& context, Request& request) {
  const Arguments arguments(request.body, {});
  Value::Array all;
  bool unwritten = false;
  context.consumers.each([&](StoredConsumer& consumer) {
    all.emplace_back(describe(context, consumer, request.now.mono));
    unwritten = unwritten || consumer.before != nullptr;
  });
  context.work += all.size() / 16;
  context.replies.answer(request.to, {{"consumers", std::move(all)}}, unwritten);
}

}  // namespace

std::span<const Operation> daemon_operations() {
  static constexpr std::array kOperations{
      Operation{"hello", false, hello},
      Operation{"status", false, status},
      Operation{"consumers", false, consumers},
      Operation{"explain", false, explain},
  };
  return kOperations;
}

}  // namespace inotifier
