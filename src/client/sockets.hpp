// The sockets of one client, on the thread of the client that owns them. They are the business of
// the process that made them: used or closed in a forked child they would hang it, and take from
// the parent what is told to its sockets.
#pragma once

#include <unistd.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <zmq.hpp>

#include "client/connection.hpp"

namespace inotifier {

struct Sockets {
  zmq::context_t context{1};
  std::optional<zmq::socket_t> socket;
  std::optional<Monitor> monitor;  // ends before the socket it watches
};

class OwnSockets {
 public:
  OwnSockets() = default;
  ~OwnSockets() {
    if (::getpid() != process_) (void)held_.release();  // a child leaves them as they are
  }
  OwnSockets(const OwnSockets&) = delete;
  OwnSockets& operator=(const OwnSockets&) = delete;

  /// Throws std::logic_error in another process.
  void check() const {
    if (::getpid() == process_) return;
    throw std::logic_error(
        "this client was made in another process: after a fork, make a new one in the child");
  }
  /// The same.
  Sockets* operator->() {
    check();
    return held_.get();
  }

 private:
  pid_t process_ = ::getpid();
  std::unique_ptr<Sockets> held_ = std::make_unique<Sockets>();
};

}  // namespace inotifier
