// What the daemon's replies mean to a consumer.
#include <algorithm>
#include <utility>

#include "client/consumer_impl.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

std::vector<std::string> texts_in(const Value& map, std::string_view key) {
  std::vector<std::string> texts;
  const Value* list = map.find(key);
  if (list == nullptr || list->array() == nullptr) return texts;
  for (const Value& item : *list->array()) {
    if (item.text() != nullptr) texts.push_back(*item.text());
  }
  return texts;
}

}  // namespace

void Consumer::Impl::receive() {
  for (;;) {
    std::optional<Reply> reply;
    try {
      reply = link.receive();
    } catch (const WireError&) {
      ++malformed;
      continue;
    }
    if (!reply) return;
    const std::int64_t id = request_of(*reply);
    const auto found = std::find_if(requests.begin(), requests.end(),
                                    [&](const Request& request) { return request.id == id; });
    if (found == requests.end()) continue;  // a late one, of a time before a reset
    const Request request = std::move(*found);
    requests.erase(found);
    backoff = kFirstBackoff;
    if (const auto error = error_of(*reply)) {
      on_error(request, *reply, *error);
    } else {
      on_reply(request, std::move(*reply));
    }
  }
}

void Consumer::Impl::on_reply(const Request& request, Reply reply) {
  switch (request.kind) {
    case Kind::kFetch:
      on_fetch(request, std::move(reply));
      return;
    case Kind::kRead:
      on_read(std::move(reply));
      return;
    case Kind::kFilters:
      on_filters(reply.head);
      return;
    case Kind::kAck:
      acked = std::max(acked, request.position);
      break;
    case Kind::kFail:
      // The front is the one: failures are told one by one.
      if (!failures.empty()) failures.pop_front();
      window.finish(request.position);
      break;
    case Kind::kTouch:
    case Kind::kRelease:
      break;
  }
  enter(State::kOwner);
}

void Consumer::Impl::connected_again() {
  // A refusal of the first request says nothing of who has the consumer.
  if (started && current == State::kDisconnected) enter(before);
}

void Consumer::Impl::on_fetch(const Request& request, Reply reply) {
  const std::string now_stream = text_in(reply.head, "stream");
  if (!now_stream.empty() && now_stream != stream) {
    const bool had = window.seen() > 0;
    stream = now_stream;
    if (had) {
      // The journal was begun anew, and no position of ours showed it.
      reset({"stream_changed", "the daemon's journal was begun anew"});
      return;
    }
  }
  known = true;
  if (reply.head.find("standby") != nullptr) {
    enter(State::kStandby);
    looked = looked || request.id > call_began;
    // Not at once, whatever becomes of `wait`.
    ask_at = Clock::now() + (longest_wait == milliseconds(0) ? kPause : kFirstBackoff);
    return;
  }
  acked = std::max(acked, request.position);
  tell_lost(reply.head);
  const Value* behind = reply.head.find("behind");
  const auto end = position_in(reply.head, "cursor");
  // Nothing to wait for: what is there does not match, and the rest has to be asked for.
  const bool more = behind != nullptr && behind->integer() != nullptr && *behind->integer() > 0;
  // A state that does not come yet.
  if (more && reply.events.empty() && !(end && *end > window.cursor())) {
    ask_at = Clock::now() + kFirstBackoff;
  }
  useless = !(end && *end > window.seen());
  empty = reply.events.empty() && !more;
  looked = looked || request.id > call_began;
  window.take_fetched(std::move(reply), end.value_or(0));
  enter(State::kOwner);
}

void Consumer::Impl::on_read(Reply reply) {
  connected_again();
  const auto end = position_in(reply.head, "cursor");
  if (reply.events.empty() && longest_wait == milliseconds(0)) ask_at = Clock::now() + kPause;
  useless = false;
  window.take_read_ahead(std::move(reply), end.value_or(0));
}

void Consumer::Impl::on_filters(const Value& head) {
  connected_again();
  const Value* consumers = head.find("consumers");
  if (consumers == nullptr || consumers->array() == nullptr) return;
  for (const Value& each : *consumers->array()) {
    if (text_in(each, "name") != options.name) continue;
    options.types = texts_in(each, "types");
    options.watches = texts_in(each, "watches");
    filters_known = true;
  }
  if (!filters_known) ask_at = Clock::now() + kPause;
}

void Consumer::Impl::on_error(const Request& request, const Reply& reply,
                              const RequestError& error) {
  if (request.kind == Kind::kRelease) return;
  connected_again();
  const auto again = Clock::now() + kPause;
  if (error.code == "busy") {
    (request.kind == Kind::kFail ? fail_at : request.kind == Kind::kAck ? ack_at : ask_at) = again;
    return;
  }
  if (error.code == "stream_changed" || error.code == "not_owner" || error.code == "bad_ack") {
    if (error.code == "stream_changed") {
      stream = text_in(reply.head, "stream");
      known = false;
    }
    reset({error.code, error.what()});
    return;
  }
  if (error.code == "unknown_consumer" && known && text_in(reply.head, "stream") != stream) {
    stream = text_in(reply.head, "stream");
    known = false;
    reset({"stream_changed", "the daemon's journal was begun anew"});
    return;
  }
  if (request.kind == Kind::kFail) failures.pop_front();
  throw error;
}

void Consumer::Impl::tell_lost(const Value& head) {
  const Value* told = head.find("lost");
  if (told == nullptr) return;
  Lost lost{text_in(*told, "first"), text_in(*told, "last")};
  if (lost.last == last_lost) return;  // it is repeated until acked past
  last_lost = lost.last;
  if (options.on_lost) options.on_lost(lost);
}

void Consumer::Impl::reset(const Reset& why) {
  requests.clear();
  failures.clear();
  window.clear();
  ++resets;
  acked = 0;
  last_lost.clear();
  useless = empty = false;
  if (options.on_reset) options.on_reset(why);
}

void Consumer::Impl::enter(State next) {
  if (next == current && started) return;
  if (current != State::kDisconnected) before = current;
  started = true;
  current = next;
  if (options.on_state) options.on_state(next);
}

}  // namespace inotifier
