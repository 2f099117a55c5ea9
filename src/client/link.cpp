#include "client/link.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

using std::chrono::milliseconds;
using Reason = ConnectionError::Reason;

/// A daemon that is there answers at once; "nothing is said for long" must not be the answer to a
/// wrong port.
constexpr milliseconds kHelloPatience{500};
constexpr std::int64_t kProtocol = 1;

bool is_true(const Value* value) {
  const bool* held = value == nullptr ? nullptr : std::get_if<bool>(&value->v);
  return held != nullptr && *held;
}

}  // namespace

Link::Link(Connection connection) : connection_(std::move(connection)) {
  const bool found = connection_.endpoint.empty();
  if (found) connection_.endpoint = default_fetch_endpoint();
  keys_ = read_client_keys(connection_.server_key, connection_.key);
  const auto start = Clock::now();
  make_socket();
  try {
    wait_for_peer(*sockets_->monitor, connection_.endpoint, Peer::kFetch, keys_.any(),
                  connection_.connect_timeout);
  } catch (const ConnectionError& error) {
    throw found ? with_places(error, Peer::kFetch) : error;
  }
  greet(std::max(start + connection_.connect_timeout, Clock::now()) + kHelloPatience);
}

void Link::make_socket() {
  lost_ = false;
  sockets_->monitor.reset();
  sockets_->socket.reset();
  sockets_->socket.emplace(sockets_->context, zmq::socket_type::dealer);
  set_up_socket(*sockets_->socket, connection_.endpoint, keys_);
  sockets_->monitor.emplace(sockets_->context, *sockets_->socket);
  connect(*sockets_->socket, connection_.endpoint, Peer::kFetch);
}

void Link::greet(Clock::time_point deadline) {
  const auto no_inotifier = [&](std::string_view text) {
    return ConnectionError(
        Reason::kNoInotifier,
        fmt::format("{}: {}: is it the endpoint of [fetch]?", connection_.endpoint, text));
  };
  send(encode_request("hello", 0, {}));
  for (;;) {
    std::optional<Reply> reply;
    try {
      reply = receive();
    } catch (const WireError&) {
      throw no_inotifier("what listens there does not answer as inotifier does");
    }
    if (reply) {
      const Value* protocol = reply->head.find("protocol");
      if (reply->head.find("ok") == nullptr || protocol == nullptr ||
          protocol->integer() == nullptr) {
        throw no_inotifier("what listens there does not answer as inotifier does");
      }
      if (*protocol->integer() != kProtocol) {
        throw ConnectionError(
            Reason::kNoInotifier,
            fmt::format("{}: the daemon speaks protocol {}, this client {}: update the older one",
                        connection_.endpoint, *protocol->integer(), kProtocol));
      }
      if (auto error = error_of(*reply)) throw *error;
      hello_ = std::move(reply->head);
      return;
    }
    if (Clock::now() >= deadline) {
      throw no_inotifier("something listens there, but does not answer");
    }
    wait(deadline, -1);
  }
}

void Link::renew() { make_socket(); }

void Link::forget_refusals() {
  bool refused = false;
  while (const int event = sockets_->monitor->next(Clock::now())) {
    if (event == ZMQ_EVENT_DISCONNECTED) lost_ = true;
    refused = refused || event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
              event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
  }
  if (refused) renew();
}

void Link::send(std::string_view body) {
  zmq::message_t message(body.data(), body.size());
  // The queue of a socket takes a thousand messages, connected or not; there are never more than a
  // few.
  if (zmq_msg_send(message.handle(), sockets_->socket->handle(), ZMQ_DONTWAIT) < 0 &&
      zmq_errno() != EAGAIN) {
    throw zmq::error_t();
  }
}

std::optional<Reply> Link::receive() {
  zmq::message_t frame;
  do {
    if (zmq_msg_recv(frame.handle(), sockets_->socket->handle(), ZMQ_DONTWAIT) >= 0) continue;
    if (zmq_errno() == EINTR) continue;
    if (zmq_errno() != EAGAIN) throw zmq::error_t();
    return std::nullopt;  // the frames of a message arrive together
  } while (frame.more());
  return parse_reply(std::move(frame));
}

bool Link::disconnected() {
  while (const int event = sockets_->monitor->next(Clock::now())) {
    throw_if_refused(event, connection_.endpoint, Peer::kFetch, keys_.any());
    if (event == ZMQ_EVENT_DISCONNECTED) lost_ = true;
  }
  return std::exchange(lost_, false);
}

Link::Woken Link::wait(Clock::time_point deadline, int wake_fd) {
  zmq_pollitem_t items[3] = {{sockets_->socket->handle(), 0, ZMQ_POLLIN, 0},
                             {sockets_->monitor->handle(), 0, ZMQ_POLLIN, 0},
                             {nullptr, wake_fd, ZMQ_POLLIN, 0}};
  const int count = zmq_poll(items, wake_fd >= 0 ? 3 : 2, milliseconds_until(deadline));
  if (count < 0 && zmq_errno() != EINTR) throw zmq::error_t();
  if (count < 0) return Woken::kInterrupted;
  if (count == 0) return Woken::kTimeout;
  const bool ours = items[0].revents != 0 || items[1].revents != 0;
  return wake_fd >= 0 && items[2].revents != 0 && !ours ? Woken::kInterrupted : Woken::kSomething;
}

std::string encode_request(std::string_view op, std::int64_t id, Value::Map arguments) {
  Value::Map map;
  map.emplace_back("op", op);
  map.emplace_back("request", id);
  for (auto& argument : arguments) map.push_back(std::move(argument));
  return encode_value(Value(std::move(map)));
}

std::int64_t request_of(const Reply& reply) {
  const Value* value = reply.head.find("request");
  return value == nullptr || value->integer() == nullptr ? -1 : *value->integer();
}

std::optional<RequestError> error_of(const Reply& reply) {
  if (is_true(reply.head.find("ok"))) return std::nullopt;
  const Value* error = reply.head.find("error");
  if (error == nullptr) return RequestError("", "the daemon gave no reason");
  return RequestError(text_in(*error, "code"), text_in(*error, "message"));
}

}  // namespace inotifier
