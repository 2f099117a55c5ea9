#include "serve/publisher.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <zmq.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "endpoint/binding.hpp"
#include "serve/subscriptions.hpp"

namespace inotifier {
namespace {

constexpr int kSubscriptionsQueued = 100;  // of one connection
constexpr int kSubscriptionsPerTurn = 5000;
constexpr Nanos kWarnInterval = 60 * kSecond;

}  // namespace

struct Publisher::Impl {
  explicit Impl(zmq::context_t& context) : socket(context, zmq::socket_type::xpub) {}

  void send(std::string_view frame, int flags) {
    // XPUB never waits: a subscriber whose queue is full is passed over.
    while (zmq_send(socket.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | flags) < 0) {
      if (zmq_errno() != EINTR) throw zmq::error_t();
    }
  }

  void cut_off(int fd);

  zmq::socket_t socket;
  Subscriptions subscriptions;
  std::uint64_t cut = 0;  ///< connections
  Nanos warn_at = 0;
  std::optional<BoundSocket> bound;
};

Publisher::Publisher(zmq::context_t& context, const std::vector<std::string>& endpoints,
                     int high_water_mark, const Security* security)
    : impl_(std::make_unique<Impl>(context)) {
  zmq::socket_t& socket = impl_->socket;
  socket.set(zmq::sockopt::sndhwm, high_water_mark);
  // At the end what is queued may still leave, but whoever does not read must not keep us: with the
  // time that the runner takes for the last turns it stays well below a second.
  socket.set(zmq::sockopt::linger, 300);
  // What a subscriber sends is its subscriptions, and before that the handshake of its keys. Few
  // wait unread: they must be looked at before there are many.
  socket.set(zmq::sockopt::maxmsgsize, std::int64_t{1024});
  socket.set(zmq::sockopt::rcvhwm, kSubscriptionsQueued);
  impl_->bound.emplace(socket, endpoints, "publish", security);
}

Publisher::~Publisher() = default;

/// Its subscriptions go with it; libzmq has no call for it.
void Publisher::Impl::cut_off(int fd) {
  ++cut;
  ::shutdown(fd, SHUT_RDWR);
  const Nanos now = read_clocks().mono;
  if (now < warn_at) return;
  warn_at = now + kWarnInterval;
  log::warning(
      "publish: a subscriber with too many or too long subscriptions was cut off: a topic has {} "
      "bytes at most, the topics of a connection {}, those of all {}",
      Subscriptions::kLongestTopic, Subscriptions::kBytesOfConnection, Subscriptions::kBytesInAll);
}

void Publisher::look_at_subscriptions() {
  impl_->bound->restore_paths();
  for (int i = 0; i < kSubscriptionsPerTurn; ++i) {
    zmq::message_t message;
    if (zmq_msg_recv(message.handle(), impl_->socket.handle(), ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() == EAGAIN) return;
      if (zmq_errno() != EINTR) throw zmq::error_t();
      continue;
    }
    const std::string_view text(static_cast<const char*>(message.data()), message.size());
    if (text.starts_with('\1')) {
      const int fd = zmq_msg_get(message.handle(), ZMQ_SRCFD);
      const auto cut = impl_->subscriptions.add(text.substr(1), fd);
      if (cut && *cut >= 0) impl_->cut_off(*cut);
    } else if (text.starts_with('\0')) {
      impl_->subscriptions.remove(text.substr(1));
    }
  }
}

std::uint64_t Publisher::cut_off() const { return impl_->cut; }

void Publisher::publish(std::string_view topic, std::string_view body) {
  impl_->send(topic, ZMQ_SNDMORE);
  impl_->send(body, 0);
}

const std::vector<std::string>& Publisher::endpoints() const { return impl_->bound->endpoints(); }

}  // namespace inotifier
