// What the subscriber and the clients of the fetch service have in common: endpoints, the socket's
// options, keys, and what is told when there is no connection. Private to the client library; each
// object belongs to the thread of the client that owns it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <zmq.hpp>

#include "inotifier/client.hpp"

namespace inotifier {

using Clock = std::chrono::steady_clock;

/// Far above any event and any reply; a peer that claims more is cut off before it costs memory.
inline constexpr std::int64_t kMaxMessage = 64 << 20;

/// Whole milliseconds, rounded up, for poll(2); 0 if `deadline` has come.
int milliseconds_until(Clock::time_point deadline);

/// Which of the daemon's sockets is meant: decides about names and messages.
enum class Peer { kPublisher, kFetch };

/// The endpoint of `peer` when none is given, see default_publish_endpoint().
std::string default_endpoint(Peer peer);
/// Of an error at that endpoint: where it was looked for, if nothing listens there.
ConnectionError with_places(const ConnectionError& error, Peer peer);

/// CURVE keys as 40 characters of Z85; all empty = no keys.
struct ClientKeys {
  std::string server_public;
  std::string own_public;
  std::string own_secret;
  bool any() const { return !server_public.empty(); }
};

/// Reads the ZCERT files; "" = the environment (INOTIFIER_SERVER_KEY, INOTIFIER_KEY), else none.
/// Throws ConnectionError(kBadKey).
ClientKeys read_client_keys(const std::string& server_key, const std::string& key);

/// What becomes of a connection, from zmq_socket_monitor(3).
class Monitor {
 public:
  Monitor(zmq::context_t& context, zmq::socket_t& watched);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// The next event, or 0 when the time has run out.
  int next(Clock::time_point deadline);
  void* handle() { return events_.handle(); }

 private:
  zmq::socket_t& watched_;
  zmq::socket_t events_;
};

/// Options that every socket of ours has: no lingering, reconnecting, keys, dead peers.
void set_up_socket(zmq::socket_t& socket, const std::string& endpoint, const ClientKeys& keys);

/// Connects. Throws ConnectionError(kBadEndpoint).
void connect(zmq::socket_t& socket, const std::string& endpoint, Peer peer);

/// Returns when the handshake was done; throws a ConnectionError that says what is at the endpoint
/// instead.
void wait_for_peer(Monitor& monitor, const std::string& endpoint, Peer peer, bool has_keys,
                   std::chrono::milliseconds timeout);

/// Of a connection that was there before: throws a ConnectionError if a monitor's `event` says that
/// the peer will have us no more, as after a restart with other keys. A socket to which that
/// happened does not try again by itself. Any other loss ZeroMQ gets over.
void throw_if_refused(int event, const std::string& endpoint, Peer peer, bool has_keys);

}  // namespace inotifier
