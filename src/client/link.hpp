// A DEALER socket to the fetch service: first contact, requests and replies as bytes, and a new
// socket when the old one leads nowhere. Private to the client library; one thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "client/connection.hpp"
#include "client/reply.hpp"
#include "client/sockets.hpp"

namespace inotifier {

class Link {
 public:
  /// Connects and says hello. Throws ConnectionError, within connect_timeout and half a second
  /// more; RequestError if the daemon answers with one.
  explicit Link(Connection connection);

  /// Throws std::logic_error in a forked child, as all below do.
  void check_process() const { sockets_.check(); }

  const std::string& endpoint() const { return connection_.endpoint; }
  /// The reply to hello.
  const Value& hello() const { return hello_; }

  /// A new socket. What was sent or about to come is gone.
  void renew();
  /// Before a request: that the daemon refused us until now is no answer to it. A new socket asks
  /// again.
  void forget_refusals();
  void send(std::string_view body);
  /// The body of a reply that is there; nothing if there is none. Throws WireError if it is no
  /// reply.
  std::optional<Reply> receive();
  /// True if the monitor has told of a lost connection since the last call. Throws ConnectionError
  /// if the daemon will have us no more; a new socket asks again.
  bool disconnected();

  enum class Woken { kSomething, kTimeout, kInterrupted };
  /// Waits until there is something to receive, or news of the connection; kInterrupted: a signal
  /// came, or `wake_fd` can be read.
  Woken wait(Clock::time_point deadline, int wake_fd);

 private:
  void make_socket();
  void greet(Clock::time_point deadline);

  Connection connection_;
  ClientKeys keys_;
  OwnSockets sockets_;
  bool lost_ = false;  // the monitor has told of a lost connection
  Value hello_;
};

/// The body of a request.
std::string encode_request(std::string_view op, std::int64_t id, Value::Map arguments);

/// The request that a reply answers; -1 if it does not say.
std::int64_t request_of(const Reply& reply);

/// The error in a reply; nothing if it is `ok`.
std::optional<RequestError> error_of(const Reply& reply);

}  // namespace inotifier
