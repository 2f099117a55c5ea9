// CURVE for the tcp endpoints: who has a key in the directory of clients may connect, nobody else.
// ipc endpoints need no keys; there the socket's mode and group decide.
//
// One object per zmq context, made before any socket is bound and outliving them all: libzmq lets
// everybody in while nobody answers its questions. A thread of its own answers them (ZAP, ZeroMQ
// RFC 27): a client that connects waits for that, so it must not wait for a turn of the pipeline,
// and a flood of strangers must not slow the pipeline down. The thread touches nothing but its
// socket and the allow-list. Without keys there is no thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "endpoint/allow_list.hpp"

namespace zmq {
class context_t;
class message_t;
class socket_t;
}  // namespace zmq

namespace inotifier {

class Security {
 public:
  /// Reads the keys. Throws SetupError with path, reason and remedy.
  Security(zmq::context_t& context, const Config::Security& config);
  ~Security();
  Security(const Security&) = delete;
  Security& operator=(const Security&) = delete;

  bool has_keys() const;
  /// That ipc sockets get; "" = none.
  const std::string& group() const;
  /// The daemon's public key, which clients must know; "" without keys.
  const std::string& public_key() const;
  /// What the socket binds from now on asks for keys, if there are any. Cannot be taken back: a
  /// socket cannot lose its ZAP domain.
  void ask_for_keys(zmq::socket_t& socket) const;
  /// How many connections were refused because their key is not known. Any thread.
  std::uint64_t refused() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What the sender of a received message may do: everything if it came through an endpoint without
/// keys. Nothing if it claims something that we did not write.
std::optional<Access> access_of(zmq::message_t& message);
/// The name of its key file, "" without keys.
std::string client_of(zmq::message_t& message);

}  // namespace inotifier
