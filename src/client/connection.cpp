#include "client/connection.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/endpoint.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

using std::chrono::milliseconds;
using Reason = ConnectionError::Reason;

/// What differs between the two sockets in what people are told.
struct Names {
  std::string_view socket;     // in the run directory
  std::string_view example;    // a TCP endpoint
  std::string_view not_ours;   // a ZeroMQ socket of another kind
  std::string_view no_answer;  // connected, but no handshake in time
};

const Names& names_of(Peer peer) {
  static constexpr Names kPublish{"publish", "tcp://127.0.0.1:7556",
                                  "what listens there publishes nothing",
                                  "no publisher answered in time"};
  static constexpr Names kFetch{"fetch", "tcp://127.0.0.1:7557",
                                "what listens there answers no requests",
                                "no daemon answered in time"};
  return peer == Peer::kPublisher ? kPublish : kFetch;
}

// ── What is at an endpoint ─────────────────────────────────────────────────────────────────────
// ZeroMQ's monitor says that a handshake failed, but neither why connect(2) did nor what the peer
// wants. So a failure is looked at once more with a plain socket, up to the peer's greeting.

/// Waits for `events`; false if the time ran out.
bool ready(int fd, short events, Clock::time_point deadline) {
  pollfd item{fd, events, 0};
  return ::poll(&item, 1, milliseconds_until(deadline)) > 0;
}

/// 0 or an errno; ETIMEDOUT if there was no answer.
int connect_to(const sockaddr* address, socklen_t length, Clock::time_point deadline,
               UniqueFd& fd) {
  fd = UniqueFd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  if (::connect(fd.get(), address, length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!ready(fd.get(), POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

int connect_ipc(std::string_view path, Clock::time_point deadline, UniqueFd& fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (path.starts_with('@')) {
    address.sun_path[0] = '\0';
  } else {
    ++length;
  }
  return connect_to(reinterpret_cast<const sockaddr*>(&address), length, deadline, fd);
}

int connect_tcp(const std::string& endpoint, const Endpoint& parts, Clock::time_point deadline,
                UniqueFd& fd) {
  const std::string host(parts.bare_host());
  const std::string port(parts.port);
  addrinfo hints{};
  hints.ai_family = parts.is_ipv6() ? AF_INET6 : AF_INET;  // as ZeroMQ does
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    throw ConnectionError(Reason::kBadEndpoint,
                          fmt::format("{}: {}: {}", endpoint, host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  int error = ECONNREFUSED;
  for (const addrinfo* each = found; each != nullptr && error != 0; each = each->ai_next) {
    error = connect_to(each->ai_addr, each->ai_addrlen, deadline, fd);
  }
  return error;
}

/// The security mechanism a ZeroMQ peer asks for ("NULL", "CURVE"); "" if it is none.
std::string greeted_mechanism(int fd, Clock::time_point deadline) {
  // ZMTP 3.1, "greeting": signature (10 bytes), version (2), mechanism (20), as-server, filler; 64
  // in all. Who has not heard our mechanism yet cannot hang up over it before telling its own.
  constexpr std::size_t kGreeting = 64;
  constexpr std::string_view kOurs("\xff\0\0\0\0\0\0\0\0\x7f\x03\x00", 12);
  if (::send(fd, kOurs.data(), kOurs.size(), MSG_NOSIGNAL) < 0) return {};
  std::string theirs;
  while (theirs.size() < kGreeting && ready(fd, POLLIN, deadline)) {
    std::array<char, kGreeting> part{};
    const ssize_t got = ::recv(fd, part.data(), kGreeting - theirs.size(), 0);
    if (got <= 0) break;
    theirs.append(part.data(), static_cast<std::size_t>(got));
  }
  if (theirs.size() < kGreeting || theirs[0] != '\xff' || theirs[9] != '\x7f') return {};
  const std::string mechanism = theirs.substr(12, 20);
  return mechanism.substr(0, mechanism.find('\0'));
}

ConnectionError connect_error(const std::string& endpoint, int error) {
  const auto because = [&](Reason reason, std::string_view text) {
    return ConnectionError(reason, fmt::format("{}: {}", endpoint, text));
  };
  switch (error) {
    case ENOENT:
      return because(Reason::kNothingListens,
                     "no such socket: is the daemon running (inotifier run)?");
    case ECONNREFUSED:
      return because(Reason::kNothingListens,
                     "nothing listens there: is the daemon running (inotifier run)?");
    case EACCES:
    case EPERM:
      return because(Reason::kHandshakeRefused,
                     "no access to the socket: become a member of its group and log in again");
    case ENOTSOCK:
      return because(Reason::kNoInotifier, "that is no socket");
    case ETIMEDOUT:
      return because(Reason::kNothingListens,
                     "no answer: is the address right, and no firewall between?");
    default:
      return because(Reason::kNothingListens, std::strerror(error));
  }
}

/// Throws what is wrong at `endpoint`; returns if nothing is: a daemon may have started since.
void diagnose(const std::string& endpoint, Peer peer, bool has_keys) {
  const auto deadline = Clock::now() + milliseconds(500);
  UniqueFd fd;
  const Endpoint parts(endpoint);
  const int error = parts.is_ipc() ? connect_ipc(parts.address, deadline, fd)
                                   : connect_tcp(endpoint, parts, deadline, fd);
  if (error != 0) throw connect_error(endpoint, error);
  const std::string mechanism = greeted_mechanism(fd.get(), deadline);
  const auto refused = [&](std::string_view text) {
    return ConnectionError(Reason::kHandshakeRefused, fmt::format("{}: {}", endpoint, text));
  };
  if (mechanism.empty()) {
    throw ConnectionError(
        Reason::kNoInotifier,
        fmt::format("{}: something listens there, but it does not speak ZeroMQ: is it the endpoint "
                    "of [{}]?",
                    endpoint, names_of(peer).socket));
  }
  if (mechanism == "NULL" && has_keys) {
    throw refused("the peer uses no keys: leave out --server-key and --key");
  }
  if (mechanism != "NULL" && !has_keys) {
    throw refused(fmt::format("the peer wants {} keys: give --server-key and --key", mechanism));
  }
  if (mechanism != "NULL" && mechanism != "CURVE") {
    throw refused(fmt::format("the peer wants {}, not CURVE keys", mechanism));
  }
}

ConnectionError refused_keys(const std::string& endpoint) {
  return {Reason::kHandshakeRefused,
          fmt::format("{}: the peer refuses our keys: is --server-key the daemon's public key, and "
                      "our own public key among the clients of its [security]?",
                      endpoint)};
}

/// After a greeting, before the handshake's end, and a second look finds nothing wrong: keys that
/// do not fit, or a ZeroMQ socket of another kind.
ConnectionError broken_off(const std::string& endpoint, Peer peer, bool has_keys) {
  if (has_keys) return refused_keys(endpoint);
  return {Reason::kNoInotifier, fmt::format("{}: {}: is it the endpoint of [{}]?", endpoint,
                                            names_of(peer).not_ours, names_of(peer).socket)};
}

}  // namespace

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

Monitor::Monitor(zmq::context_t& context, zmq::socket_t& watched)
    : watched_(watched), events_(context, zmq::socket_type::pair) {
  constexpr int kWanted = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_DISCONNECTED;
  // No limit: nobody may look for long, and at the limit libzmq's thread would wait for room, and
  // closing the socket for that thread.
  events_.set(zmq::sockopt::rcvhwm, 0);
  // A name of its own: the monitor of a socket closed before may not be gone yet.
  const std::string address = fmt::format("inproc://monitor-{}", fmt::ptr(watched.handle()));
  if (zmq_socket_monitor(watched.handle(), address.c_str(), kWanted) != 0) throw zmq::error_t();
  events_.connect(address);
}

Monitor::~Monitor() { zmq_socket_monitor(watched_.handle(), nullptr, 0); }

int Monitor::next(Clock::time_point deadline) {
  for (;;) {
    zmq_pollitem_t item{events_.handle(), 0, ZMQ_POLLIN, 0};
    const int left = milliseconds_until(deadline);
    if (zmq_poll(&item, 1, left) > 0) break;
    if (left == 0) return 0;
  }
  zmq::message_t event;
  zmq::message_t endpoint;
  if (!events_.recv(event) || !events_.recv(endpoint)) return 0;
  std::uint16_t number = 0;
  std::memcpy(&number, event.data(), std::min(sizeof number, event.size()));
  return number;
}

void set_up_socket(zmq::socket_t& socket, const std::string& endpoint, const ClientKeys& keys) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize, kMaxMessage);
  // ZeroMQ tries one address only, and with this option on that of "localhost" can be ::1.
  socket.set(zmq::sockopt::ipv6, Endpoint(endpoint).is_ipv6());
  socket.set(zmq::sockopt::reconnect_ivl, 100);
  socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
  if (Endpoint(endpoint).is_tcp()) {
    // A peer that vanished without a word is given up after 15 s, and looked for again.
    socket.set(zmq::sockopt::heartbeat_ivl, 5000);
    socket.set(zmq::sockopt::heartbeat_timeout, 15'000);
  }
  if (keys.any()) {
    socket.set(zmq::sockopt::curve_serverkey, keys.server_public);
    socket.set(zmq::sockopt::curve_publickey, keys.own_public);
    socket.set(zmq::sockopt::curve_secretkey, keys.own_secret);
  }
}

void connect(zmq::socket_t& socket, const std::string& endpoint, Peer peer) {
  const auto fail = [&](std::string_view why) {
    throw ConnectionError(
        Reason::kBadEndpoint,
        fmt::format("\"{}\": {}; an endpoint is ipc:///run/inotifier/{} or {}", endpoint, why,
                    names_of(peer).socket, names_of(peer).example));
  };
  if (Endpoint(endpoint).transport == Endpoint::Transport::kUnknown)
    fail("neither ipc:// nor tcp://");
  try {
    socket.connect(endpoint);
  } catch (const zmq::error_t& error) {
    fail(error.what());
  }
}

void wait_for_peer(Monitor& monitor, const std::string& endpoint, Peer peer, bool has_keys,
                   milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  // True: something listens there. A daemon that was killed in mid-handshake may come back in time.
  const auto look = [&] {
    try {
      diagnose(endpoint, peer, has_keys);
      return true;
    } catch (const ConnectionError& error) {
      if (error.reason != Reason::kNothingListens || Clock::now() >= deadline) throw;
      return false;
    }
  };
  for (;;) {
    switch (monitor.next(deadline)) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        throw refused_keys(endpoint);
      case ZMQ_EVENT_DISCONNECTED:
        if (!look()) break;
        throw broken_off(endpoint, peer, has_keys);
      case 0:
        diagnose(endpoint, peer, has_keys);
        if (has_keys) throw refused_keys(endpoint);
        throw ConnectionError(Reason::kNothingListens,
                              fmt::format("{}: {}", endpoint, names_of(peer).no_answer));
      default:
        look();  // a daemon that stops or starts just now is tried again
    }
  }
}

void throw_if_refused(int event, const std::string& endpoint, Peer peer, bool has_keys) {
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) throw refused_keys(endpoint);
  if (event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) return;
  diagnose(endpoint, peer, has_keys);
  throw broken_off(endpoint, peer, has_keys);
}

}  // namespace inotifier
