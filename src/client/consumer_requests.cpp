// What a consumer asks and tells the daemon, and when.
#include <algorithm>
#include <utility>

#include "client/consumer_impl.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

/// clients/README.md: wait for the reply so much longer than asked for, then open a new socket.
constexpr milliseconds kPatience{10'000};

Value list_of(const std::vector<std::string>& texts) {
  return Value::Array(texts.begin(), texts.end());
}

double seconds_of(milliseconds duration) { return static_cast<double>(duration.count()) / 1000; }

}  // namespace

bool Consumer::Impl::under_way(Kind kind) const {
  return std::any_of(requests.begin(), requests.end(),
                     [&](const Request& request) { return request.kind == kind; });
}

void Consumer::Impl::send(Kind kind, std::string_view op, Value::Map arguments, milliseconds wait,
                          std::uint64_t position) {
  const std::int64_t id = ++last_id;
  const auto now = Clock::now();
  Request request{id,
                  kind,
                  encode_request(op, id, std::move(arguments)),
                  wait + kPatience,
                  now + wait + kPatience,
                  position};
  link.send(request.body);
  requests.push_back(std::move(request));
  if (kind != Kind::kRead && kind != Kind::kFilters) last_contact = now;
}

void Consumer::Impl::send_fetch(milliseconds wait) {
  Value::Map arguments = as_owner();
  const std::uint64_t position = window.ackable();
  if (position > 0) {
    arguments.emplace_back("stream", stream);
    arguments.emplace_back("ack", position_text(position));
  }
  if (!known) {
    // The same filters are asked for once only: somebody may change them while we are at it.
    if (!options.types.empty()) arguments.emplace_back("types", list_of(options.types));
    if (!options.watches.empty()) arguments.emplace_back("watches", list_of(options.watches));
    if (!options.start.empty()) arguments.emplace_back("start", options.start);
  }
  // A consumer that was forgotten while we used it must not begin anew at the oldest event.
  if (known || !options.create) arguments.emplace_back("create", false);
  arguments.emplace_back("limit", options.limit);
  arguments.emplace_back("lease", std::int64_t{options.lease.count()});
  arguments.emplace_back("wait", seconds_of(wait));
  send(Kind::kFetch, "fetch", std::move(arguments), wait, position);
  last_ack = Clock::now();
}

void Consumer::Impl::send_read() {
  Value::Map arguments{{"after", position_text(window.read())}, {"stream", stream}};
  if (!options.types.empty()) arguments.emplace_back("types", list_of(options.types));
  if (!options.watches.empty()) arguments.emplace_back("watches", list_of(options.watches));
  const std::size_t room = options.window - window.size();
  arguments.emplace_back(
      "limit", static_cast<std::int64_t>(std::min(static_cast<std::size_t>(options.limit), room)));
  arguments.emplace_back("wait", seconds_of(longest_wait));
  send(Kind::kRead, "fetch", std::move(arguments), longest_wait);
}

void Consumer::Impl::ask() {
  const auto now = Clock::now();
  if (!window.nothing_in_hand() || now < ask_at || under_way(Kind::kFetch)) return;
  const bool all_done = window.ackable() == window.seen();
  if (all_done && !(useless && window.undone() > 0)) {
    if (under_way(Kind::kRead)) return;
    // With something unfinished the reply comes at once in any case: it begins with that. And the
    // first tells whether we have to stand by, which nobody should have to wait for.
    send_fetch(window.undone() == 0 && started ? longest_wait : milliseconds(0));
    return;
  }
  if (window.size() >= options.window || under_way(Kind::kRead)) return;
  if (filters_known) {
    send_read();
  } else if (!under_way(Kind::kFilters)) {
    send(Kind::kFilters, "consumers", {});
  }
}

bool Consumer::Impl::may_tell() const {
  const State to = current == State::kDisconnected ? before : current;
  return started && to == State::kOwner && !renewal_due;
}

bool Consumer::Impl::may_fail() const {
  return !failures.empty() && failures.front().position <= window.seen() && !under_way(Kind::kFail);
}

void Consumer::Impl::tell(bool at_once) {
  if (!may_tell()) return;
  const auto now = Clock::now();
  if (may_fail() && now >= fail_at) {
    const Failure& failure = failures.front();
    Value::Map arguments = as_owner();
    arguments.emplace_back("stream", stream);
    arguments.emplace_back("position", position_text(failure.position));
    arguments.emplace_back("reason", failure.reason);
    arguments.emplace_back("tries", failure.tries);
    send(Kind::kFail, "fail", std::move(arguments), {}, failure.position);
  }
  if (may_ack() && now >= (at_once ? ack_at : next_ack())) {
    const std::uint64_t position = window.ackable();
    Value::Map arguments = as_owner();
    arguments.emplace_back("stream", stream);
    arguments.emplace_back("ack", position_text(position));
    send(Kind::kAck, "ack", std::move(arguments), {}, position);
    last_ack = now;
  } else if (may_touch() && now >= next_touch()) {
    Value::Map arguments = as_owner();
    arguments.emplace_back("lease", std::int64_t{options.lease.count()});
    send(Kind::kTouch, "touch", std::move(arguments));
  }
}

}  // namespace inotifier
