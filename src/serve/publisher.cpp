#include "serve/publisher.hpp"

#include <cerrno>
#include <optional>
#include <zmq.hpp>

#include "endpoint/binding.hpp"

namespace inotifier {

struct Publisher::Impl {
  explicit Impl(zmq::context_t& context) : socket(context, zmq::socket_type::pub) {}

  void send(std::string_view frame, int flags) {
    // PUB never waits: a subscriber whose queue is full is passed over.
    while (zmq_send(socket.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | flags) < 0) {
      if (zmq_errno() != EINTR) throw zmq::error_t();
    }
  }

  zmq::socket_t socket;
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
  // What a subscriber sends is its subscriptions; a topic has 64 + 64 bytes at most.
  socket.set(zmq::sockopt::maxmsgsize, std::int64_t{4096});
  impl_->bound.emplace(socket, endpoints, "publish", security);
}

Publisher::~Publisher() = default;

void Publisher::publish(std::string_view topic, std::string_view body) {
  impl_->send(topic, ZMQ_SNDMORE);
  impl_->send(body, 0);
}

const std::vector<std::string>& Publisher::endpoints() const { return impl_->bound->endpoints(); }

}  // namespace inotifier
