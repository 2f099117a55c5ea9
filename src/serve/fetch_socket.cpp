#include "serve/fetch_socket.hpp"

#include <cerrno>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <zmq.hpp>

#include "endpoint/binding.hpp"
#include "endpoint/security.hpp"
#include "serve/fetch_service.hpp"

namespace inotifier {
namespace {

// Replies that wait for one peer: each may have 8 MiB.
constexpr int kRepliesQueued = 8;
// Small ones that wait besides, in bytes: a client may have many small requests under way.
constexpr std::size_t kWaitingBytes = 1U << 20U;
// Requests that wait of one peer.
constexpr int kRequestsQueued = 64;
// Beyond it libzmq closes the connection; between it and a request's limit there is an error reply.
constexpr std::int64_t kMaxFrame = 1U << 20U;

}  // namespace

struct FetchSocket::Impl {
  explicit Impl(zmq::context_t& context) : socket(context, zmq::socket_type::router) {}

  enum class Outcome { kSent, kFull, kGone };
  Outcome send(const std::vector<std::string>& peer, std::string_view body) {
    const auto put = [this](std::string_view frame, int flags) {
      while (zmq_send(socket.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | flags) < 0) {
        if (zmq_errno() == EAGAIN) return Outcome::kFull;
        if (zmq_errno() == EHOSTUNREACH) return Outcome::kGone;
        if (zmq_errno() != EINTR) throw zmq::error_t();
      }
      return Outcome::kSent;
    };
    // Whether there is room is decided with the first frame, which names the peer.
    for (const std::string& frame : peer) {
      const Outcome outcome = put(frame, ZMQ_SNDMORE);
      if (outcome != Outcome::kSent) return outcome;
    }
    return put(body, 0);
  }

  /// In memory. The frames count as well: they are the peer's.
  static std::size_t size_of(const std::vector<std::string>& peer, std::string_view body) {
    std::size_t size = body.size() + sizeof(Reply);
    for (const std::string& frame : peer) size += frame.size() + sizeof frame;
    return size;
  }
  struct Reply {
    std::vector<std::string> peer;
    std::string body;
  };
  struct Waiting {
    std::deque<Reply> replies;
    std::size_t bytes = 0;
  };
  zmq::socket_t socket;
  std::optional<BoundSocket> bound;
  std::map<std::string, Waiting, std::less<>> waiting;  ///< by peer
};

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

bool FetchSocket::receive(Request& request) {
  request.peer.clear();
  request.body.clear();
  std::size_t bytes = 0;
  while (true) {
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), impl_->socket.handle(), ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() == EAGAIN) return false;
      if (zmq_errno() != EINTR) throw zmq::error_t();
    }
    const std::string_view content(static_cast<const char*>(frame.data()), frame.size());
    if (!frame.more()) {
      const auto access = access_of(frame);
      request.may_change = access == Access::kAll;
      // Whom nobody let in is not answered.
      if (!access) request.peer.clear();
      request.body = content;
      return true;
    }
    // Too many, or too much, is seen by the service: one frame more than it takes is kept.
    bytes += content.size();
    if (request.peer.size() <= FetchService::kMaxFrames) {
      request.peer.emplace_back(bytes <= FetchService::kMaxFrameBytes ? content : "");
    }
    if (bytes > FetchService::kMaxFrameBytes) request.peer.resize(FetchService::kMaxFrames + 1);
  }
}

bool FetchSocket::has_request() const {
  return (impl_->socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
}

int FetchSocket::fd() const { return impl_->socket.get(zmq::sockopt::fd); }

void FetchSocket::send(const std::vector<std::string>& peer, std::string_view body) {
  auto waiting = impl_->waiting.find(peer.front());
  if (waiting == impl_->waiting.end()) {
    if (impl_->send(peer, body) != Impl::Outcome::kFull) return;
    if (body.size() > kWaitingBytes) return;
    waiting = impl_->waiting.emplace(peer.front(), Impl::Waiting()).first;
  }
  const std::size_t size = Impl::size_of(peer, body);
  if (waiting->second.bytes + size > kWaitingBytes) return;
  waiting->second.bytes += size;
  waiting->second.replies.push_back({peer, std::string(body)});
}

bool FetchSocket::send_rest() {
  for (auto waiting = impl_->waiting.begin(); waiting != impl_->waiting.end();) {
    auto& replies = waiting->second.replies;
    auto outcome = Impl::Outcome::kSent;
    while (!replies.empty() && outcome == Impl::Outcome::kSent) {
      outcome = impl_->send(replies.front().peer, replies.front().body);
      if (outcome != Impl::Outcome::kSent) break;
      waiting->second.bytes -= Impl::size_of(replies.front().peer, replies.front().body);
      replies.pop_front();
    }
    const bool done = replies.empty() || outcome == Impl::Outcome::kGone;
    waiting = done ? impl_->waiting.erase(waiting) : std::next(waiting);
  }
  return !impl_->waiting.empty();
}

const std::vector<std::string>& FetchSocket::endpoints() const { return impl_->bound->endpoints(); }

}  // namespace inotifier
