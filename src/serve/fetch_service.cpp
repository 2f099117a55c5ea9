#include "serve/fetch_service.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "base/path.hpp"
#include "inotifier/wire.hpp"
#include "serve/fetch_internal.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

constexpr Nanos kSnapshotPause = kSecond;
constexpr std::size_t kMaxSpares = 4;

}  // namespace

struct FetchService::Op {
  std::string_view name;
  void (FetchService::*handle)(Request&);
  bool changes;  ///< needs all rights; a fetch decides itself
};

FetchService::FetchService(Journal& journal, std::string version, const Now& now, Send send)
    : journal_(journal),
      version_(std::move(version)),
      started_(now.wall),
      send_(std::move(send)),
      consumers_(journal, now.mono),
      snapshot_(journal) {
  consumers_.each([this](StoredConsumer& consumer) {
    if (consumer.kept.snapshot) snapshots_.push_back(consumer.name);
  });
}

FetchService::~FetchService() = default;

// --- requests

const FetchService::Op* FetchService::find_op(std::string_view name) {
  static constexpr std::array<Op, 13> kOps{{
      {"hello", &FetchService::hello, false},
      {"fetch", &FetchService::fetch, false},
      {"ack", &FetchService::ack, true},
      {"touch", &FetchService::touch, true},
      {"release", &FetchService::release, true},
      {"update", &FetchService::update, true},
      {"fail", &FetchService::fail, true},
      {"failed", &FetchService::failed, false},
      {"retry", &FetchService::retry, true},
      {"seek", &FetchService::seek, true},
      {"consumers", &FetchService::list, false},
      {"forget", &FetchService::forget, true},
      {"status", &FetchService::status, false},
  }};
  const auto* found =
      std::find_if(kOps.begin(), kOps.end(), [&](const Op& op) { return op.name == name; });
  return found == kOps.end() ? nullptr : found;
}

void FetchService::on_request(Peer peer, std::string_view body, bool may_change, const Now& now) {
  ++work_;
  changed_ = true;
  std::size_t size = 0;
  for (const std::string& frame : peer) size += frame.size();
  if (peer.empty() || peer.size() > kMaxFrames || size > kMaxFrameBytes) {
    ++malformed_;
    return;
  }
  if (body.size() > kMaxBody) {
    refuse(peer, Value(), "too_large", fmt::format("a request has at most {} bytes", kMaxBody));
    return;
  }
  Request request{std::move(peer), {}, {}, may_change, now};
  try {
    try {
      request.body = decode_value(body);
    } catch (const WireError& error) {
      fail_with("bad_request", error.what());
    }
    if (request.body.map() == nullptr) fail_with("bad_request", "a request is a map");
    if (const Value* given = request.body.find("request")) {
      const bool good =
          given->integer() != nullptr || (given->text() != nullptr && given->text()->size() <= 64);
      if (!good) fail_with("bad_request", "request must be an integer or text of at most 64 bytes");
      request.id = *given;
    }
    const Value* name = request.body.find("op");
    if (name == nullptr || name->text() == nullptr) {
      fail_with("bad_request", "op is missing, or no text");
    }
    const Op* op = find_op(*name->text());
    if (op == nullptr) {
      fail_with("unknown_op", "no such op: " + to_utf8(name->text()->substr(0, 64)));
    }
    if (op->changes && !may_change) {
      fail_with("not_allowed", "this key may only read; its file says access = \"read\"");
    }
    (this->*op->handle)(request);
  } catch (const Refusal& error) {
    refuse(request.peer, request.id, error.code, error.message);
  }
}

// --- replies

void FetchService::begin_reply(WireWriter& writer, const Value& request,
                               std::size_t& fields) const {
  writer.text("ok");
  writer.boolean(true);
  writer.text("protocol");
  writer.integer(kFetchProtocol);
  writer.text("stream");
  writer.text(journal_.events().stream());
  fields += 3;
  if (request.is_nil()) return;
  writer.text("request");
  writer.value(request);
  ++fields;
}

void FetchService::answer(const Request& request, Value::Map fields, bool needs_write) {
  Value::Map reply{
      {"ok", true}, {"protocol", kFetchProtocol}, {"stream", journal_.events().stream()}};
  if (!request.id.is_nil()) reply.emplace_back("request", request.id);
  for (auto& field : fields) reply.push_back(std::move(field));
  put(request.peer, request.id, encode_value(Value(std::move(reply))), needs_write);
}

void FetchService::refuse(const Peer& peer, const Value& request, std::string_view code,
                          std::string_view message) {
  Value::Map reply{
      {"ok", false}, {"protocol", kFetchProtocol}, {"stream", journal_.events().stream()}};
  if (!request.is_nil()) reply.emplace_back("request", request);
  reply.emplace_back("error", Value::Map{{"code", code}, {"message", message}});
  put(peer, request, encode_value(Value(std::move(reply))), false);
}

void FetchService::put(const Peer& peer, const Value& request, std::string body, bool needs_write) {
  outgoing_.push_back({peer, request, std::move(body), needs_write});
}

std::string FetchService::spare() {
  if (spares_.empty()) return {};
  std::string buffer = std::move(spares_.back());
  spares_.pop_back();
  buffer.clear();
  return buffer;
}

bool FetchService::flush() {
  if (!consumers_.has_changes()) return true;
  const bool done = consumers_.flush(
      [this](const StoredConsumer& consumer) { drop_polls_of(consumer, "busy", kBusy); });
  if (done) {
    no_room_ = false;
    for (Outgoing& outgoing : outgoing_) outgoing.needs_write = false;
    for (Poll& poll : polls_) poll.unwritten = false;
    return true;
  }
  if (!std::exchange(no_room_, true)) {
    log::warning("journal {}: there is no room for what consumers have done; they are told to wait",
                 journal_.options().path);
  }
  std::vector<Outgoing> others;
  for (Outgoing& outgoing : std::exchange(outgoing_, {})) {
    if (outgoing.needs_write) {
      refuse(outgoing.peer, outgoing.request, "busy", kBusy);
    } else {
      outgoing_.push_back(std::move(outgoing));
    }
  }
  for (auto poll = polls_.begin(); poll != polls_.end();) {
    const auto next = std::next(poll);
    if (poll->unwritten) {
      refuse(poll->peer, poll->request, "busy", kBusy);
      drop(poll);
    }
    poll = next;
  }
  return false;
}

void FetchService::send() {
  for (Outgoing& outgoing : outgoing_) {
    send_(outgoing.peer, outgoing.body);
    if (spares_.size() < kMaxSpares && outgoing.body.capacity() > 4096) {
      spares_.push_back(std::move(outgoing.body));
    }
  }
  outgoing_.clear();
}

// --- a turn

void FetchService::after_turn(const Now& now) {
  look_at_journal();
  look_at_time(now);
  serve(now);
  flush();
  send();
  take_snapshots(now);
  find_deadline(now);
  work_ = 0;
}

void FetchService::take_snapshots(const Now& now) {
  if (snapshots_.empty() || now.mono < next_snapshot_) return;
  const std::string name = snapshots_.front();
  StoredConsumer* consumer = consumers_.find(name);
  if (consumer == nullptr || !consumer->kept.snapshot) {
    snapshots_.erase(snapshots_.begin());
    return;
  }
  if (journal_.blocked() || consumer->id == 0 || journal_.is_crowded(now) ||
      !snapshot_.slice(*consumer, now.wall)) {
    next_snapshot_ = now.mono + kSnapshotPause;
    return;
  }
  std::rotate(snapshots_.begin(), snapshots_.begin() + 1, snapshots_.end());
  wake(*consumer);
}

void FetchService::find_deadline(const Now& now) {
  if (reading_ > 0) {
    deadline_ = now.mono;
    return;
  }
  if (!changed_ && deadline_ && now.mono < *deadline_) return;
  changed_ = false;
  deadline_.reset();
  const auto want = [this](Nanos time) {
    if (!deadline_ || time < *deadline_) deadline_ = time;
  };
  if (!snapshots_.empty()) want(next_snapshot_);
  const bool blocked = journal_.blocked();
  for (const Poll& poll : polls_) {
    want(poll.deadline);
    if (poll.state == Poll::State::kStandby && !poll.consumer->polled && !blocked) {
      want(poll.consumer->expires);
    }
  }
}

}  // namespace inotifier
