#include "serve/fetch_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <iterator>
#include <map>
#include <utility>
#include <zmq.hpp>

#include "endpoint/binding.hpp"
#include "endpoint/security.hpp"
#include "serve/fetch_service.hpp"
#include "serve/limits.hpp"
#include "serve/unread.hpp"

namespace inotifier {
namespace {

// Replies in the queue of one peer: each may have 8 MiB.
constexpr int kRepliesQueued = 8;
// Small ones that are held back besides, in bytes: a client may have many small requests under way.
constexpr std::size_t kHeldBytes = 1U << 20U;
// Replies from this size on are counted while they are unread.
constexpr std::size_t kCounted = 4096;
// How soon they are tried again.
constexpr Nanos kRetryInterval = 50 * kMillisecond;
// Requests in the queue of one peer.
constexpr int kRequestsQueued = 64;
// Beyond it libzmq closes the connection; between it and a request's limit there is an error reply.
constexpr std::int64_t kMaxFrame = 1U << 20U;

}  // namespace

struct FetchSocket::Impl {
  explicit Impl(zmq::context_t& context) : socket(context, zmq::socket_type::router) {}

  struct Incoming {
    Route route;
    std::string body;
    bool may_change = false;
  };
  bool receive(Incoming& request);
  bool has_request() const { return (socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0; }

  enum class Outcome { kSent, kFull, kGone };
  Outcome put(std::string_view frame, int flags);
  Outcome put_body(const std::string& peer, std::string_view body);
  Outcome send(const Route& route, std::string_view body);
  bool send_held();

  struct Reply {
    Route route;
    std::string body;
    /// In memory. The frames count as well: they are the peer's.
    std::size_t size() const {
      std::size_t size = body.size() + sizeof(Reply);
      for (const std::string& frame : route) size += frame.size() + sizeof frame;
      return size;
    }
  };
  struct Held {
    std::deque<Reply> replies;
    std::size_t bytes = 0;
  };

  zmq::socket_t socket;
  Unread unread;
  std::optional<BoundSocket> bound;
  Incoming incoming;                              ///< kept for its capacity
  std::map<std::string, Held, std::less<>> held;  ///< by peer
};

/// The next request that has arrived; false: there is none.
bool FetchSocket::Impl::receive(Incoming& request) {
  request.route.clear();
  request.body.clear();
  std::size_t bytes = 0;
  while (true) {
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() == EAGAIN) return false;
      if (zmq_errno() != EINTR) throw zmq::error_t();
    }
    const std::string_view content(static_cast<const char*>(frame.data()), frame.size());
    if (!frame.more()) {
      const auto access = access_of(frame);
      request.may_change = access == Access::kAll;
      if (!access) request.route.clear();  // a peer that was not let in is not answered
      request.body = content;
      return true;
    }
    // Too many, or too much, is seen by the service: one frame more than it takes is kept.
    bytes += content.size();
    if (request.route.size() <= kMaxFrames) {
      request.route.emplace_back(bytes <= kMaxFrameBytes ? content : "");
    }
    if (bytes > kMaxFrameBytes) request.route.resize(kMaxFrames + 1);
  }
}

FetchSocket::Impl::Outcome FetchSocket::Impl::put(std::string_view frame, int flags) {
  while (zmq_send(socket.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | flags) < 0) {
    if (zmq_errno() == EAGAIN) return Outcome::kFull;
    if (zmq_errno() == EHOSTUNREACH || zmq_errno() == ENOMEM) return Outcome::kGone;
    if (zmq_errno() != EINTR) throw zmq::error_t();
  }
  return Outcome::kSent;
}

/// A large body is counted until it has left.
FetchSocket::Impl::Outcome FetchSocket::Impl::put_body(const std::string& peer,
                                                       std::string_view body) {
  if (body.size() < kCounted) return put(body, 0);
  zmq_msg_t message;
  // Without memory the message still has to end; an empty body is none, and the client asks again.
  if (!unread.make(message, peer, body)) return put({}, 0);
  while (zmq_msg_send(&message, socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (zmq_errno() == EINTR) continue;
    const bool full = zmq_errno() == EAGAIN;
    zmq_msg_close(&message);
    return full ? Outcome::kFull : Outcome::kGone;
  }
  return Outcome::kSent;
}

FetchSocket::Impl::Outcome FetchSocket::Impl::send(const Route& route, std::string_view body) {
  // Whether there is room is decided with the first frame, which names the peer.
  for (const std::string& frame : route) {
    const Outcome outcome = put(frame, ZMQ_SNDMORE);
    if (outcome != Outcome::kSent) return outcome;
  }
  return put_body(route.front(), body);
}

/// What did not fit, as far as it fits now. True if something is left.
bool FetchSocket::Impl::send_held() {
  for (auto peer = held.begin(); peer != held.end();) {
    auto& replies = peer->second.replies;
    auto outcome = Outcome::kSent;
    while (!replies.empty()) {
      outcome = send(replies.front().route, replies.front().body);
      if (outcome != Outcome::kSent) break;
      peer->second.bytes -= replies.front().size();
      replies.pop_front();
    }
    const bool done = replies.empty() || outcome == Outcome::kGone;
    peer = done ? held.erase(peer) : std::next(peer);
  }
  return !held.empty();
}

FetchSocket::FetchSocket(zmq::context_t& context, const std::vector<std::string>& endpoints,
                         const Security* security)
    : impl_(std::make_unique<Impl>(context)) {
  zmq::socket_t& socket = impl_->socket;
  socket.set(zmq::sockopt::sndhwm, kRepliesQueued);
  socket.set(zmq::sockopt::rcvhwm, kRequestsQueued);
  socket.set(zmq::sockopt::maxmsgsize, kMaxFrame);
  // A client that connects again under the name it has chosen may be faster than the news that its
  // old connection is gone.
  socket.set(zmq::sockopt::router_handover, true);
  // It tells a full queue from a peer that has gone, instead of dropping in silence.
  socket.set(zmq::sockopt::router_mandatory, true);
  socket.set(zmq::sockopt::linger, 200);
  impl_->bound.emplace(socket, endpoints, "fetch", security);
}

FetchSocket::~FetchSocket() = default;

std::optional<Nanos> FetchSocket::serve(FetchService& service, const Now& now) {
  impl_->bound->restore_paths();
  Impl::Incoming& request = impl_->incoming;
  service.limit_replies(impl_->unread.bytes() > kMaxUnread ? kSmallReply : kMaxReply);
  while (service.has_room() && impl_->receive(request)) {
    service.on_request(std::move(request.route), request.body, request.may_change, now);
  }
  service.after_turn(now);
  const bool held = impl_->send_held();
  // The descriptor shows changes only: what has arrived already must be asked for.
  if (impl_->has_request()) return now.mono;
  const auto wanted = service.deadline();
  if (!held) return wanted;
  // The asking may have consumed the change that shows room in a peer's queue.
  const Nanos retry = now.mono + kRetryInterval;
  return std::min(wanted.value_or(retry), retry);
}

int FetchSocket::fd() const { return impl_->socket.get(zmq::sockopt::fd); }

void FetchSocket::send(const Route& route, std::string_view body) {
  if (impl_->unread.bytes() > kMaxUnread && impl_->unread.has(route.front())) return;
  auto peer = impl_->held.find(route.front());
  if (peer == impl_->held.end()) {
    if (impl_->send(route, body) != Impl::Outcome::kFull) return;
    if (body.size() > kHeldBytes) return;
    peer = impl_->held.emplace(route.front(), Impl::Held()).first;
  }
  Impl::Reply reply{route, std::string(body)};
  if (peer->second.bytes + reply.size() > kHeldBytes) return;
  peer->second.bytes += reply.size();
  peer->second.replies.push_back(std::move(reply));
}

const std::vector<std::string>& FetchSocket::endpoints() const { return impl_->bound->endpoints(); }

}  // namespace inotifier
