#include "serve/fetch_service.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <new>
#include <utility>

#include "base/path.hpp"
#include "inotifier/wire.hpp"
#include "journal/sqlite.hpp"
#include "serve/operation.hpp"

namespace inotifier {
namespace {

// About 5 ms: one is what a small request costs.
constexpr std::size_t kWorkPerTurn = 64;
constexpr std::size_t kMaxRequestId = 64;
constexpr Nanos kExpiryInterval = 10 * kSecond;

Value id_of(const Value& body) {
  const Value* id = body.find("request");
  if (id == nullptr) return {};
  const bool good =
      id->integer() != nullptr || (id->text() != nullptr && id->text()->size() <= kMaxRequestId);
  if (good) return *id;
  throw Refusal{"bad_request", "request must be an integer or text of at most 64 bytes"};
}

const Operation& operation_of(const Value& body) {
  const Value* name = body.find("op");
  if (name == nullptr || name->text() == nullptr) {
    throw Refusal{"bad_request", "op is missing, or no text"};
  }
  if (const Operation* operation = find_operation(*name->text())) return *operation;
  throw Refusal{"unknown_op", "no such op: " + to_utf8(name->text()->substr(0, 64))};
}

}  // namespace

FetchService::FetchService(Journal& journal, std::string version, const Now& now,
                           Replies::Send send)
    : context_(std::make_unique<FetchContext>(journal, std::move(version), now, std::move(send))) {}

FetchService::~FetchService() = default;

void FetchService::fill_status_with(FillStatus fill) { context_->fill_status = std::move(fill); }
void FetchService::limit_replies(std::size_t bytes) { context_->replies.set_limit(bytes); }
void FetchService::explain_with(Explain explain) { context_->explain = std::move(explain); }
bool FetchService::has_room() const { return context_->work < kWorkPerTurn; }
std::size_t FetchService::consumers() const { return context_->consumers.size(); }
std::size_t FetchService::polls() const { return context_->polls.size(); }
std::uint64_t FetchService::malformed() const { return context_->malformed; }

void FetchService::on_request(Route route, std::string_view body, bool may_change, const Now& now) {
  ++context_->work;
  context_->polls.leases_changed();
  std::size_t size = 0;
  for (const std::string& frame : route) size += frame.size();
  if (route.empty() || route.size() > kMaxFrames || size > kMaxFrameBytes) {
    ++context_->malformed;
    return;
  }
  Request request{{std::move(route), {}}, {}, may_change, now};
  try {
    run(request, body);
  } catch (const Refusal& error) {
    context_->replies.refuse(request.to, error.code, error.message);
  } catch (const std::bad_alloc&) {
    context_->replies.refuse(request.to, "busy", kNoMemory);
  } catch (const sqlite::Error& error) {
    if (!error.is_out_of_memory()) throw;
    context_->replies.refuse(request.to, "busy", kNoMemory);
  }
}

void FetchService::run(Request& request, std::string_view body) {
  if (body.size() > kMaxBody) {
    throw Refusal{"too_large", fmt::format("a request has at most {} bytes", kMaxBody)};
  }
  try {
    request.body = decode_value(body);
  } catch (const WireError& error) {
    throw Refusal{"bad_request", error.what()};
  }
  if (request.body.map() == nullptr) throw Refusal{"bad_request", "a request is a map"};
  request.to.request = id_of(request.body);
  const Operation& operation = operation_of(request.body);
  if (operation.changes && !request.may_change) {
    throw Refusal{"not_allowed",
                  "this key may only read: access = \"all\" in its file among the daemon's "
                  "clients lets it do more"};
  }
  operation.run(*context_, request);
}

void FetchService::after_turn(const Now& now) {
  FetchContext& context = *context_;
  context.polls.turn(now);
  context.flush();
  context.replies.send();
  if (const StoredConsumer* consumer = context.feed.turn(now)) context.polls.wake(*consumer);
  forget_expired(now);
  deadline_ = context.polls.deadline(now);
  if (const auto feed = context.feed.deadline(); feed && (!deadline_ || *feed < *deadline_)) {
    deadline_ = feed;
  }
  context.work = 0;
}

void FetchService::forget_expired(const Now& now) {
  FetchContext& context = *context_;
  if (now.mono < next_expiry_ || context.journal.blocked()) return;
  context.polls.note_seen(now);
  const bool more = context.consumers.forget_expired(now);
  next_expiry_ = more ? now.mono : now.mono + kExpiryInterval;
}

}  // namespace inotifier
