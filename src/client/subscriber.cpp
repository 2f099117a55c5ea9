#include <fmt/core.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <zmq.hpp>

#include "base/unique_fd.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"
#include "publish/codec.hpp"
#include "publish/heartbeat.hpp"

namespace inotifier {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Reason = ConnectionError::Reason;

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
/// Far above any event; a peer that claims more is cut off before it costs memory.
constexpr std::int64_t kMaxMessage = 64 << 20;

/// ZeroMQ tries one address only, and with its option on that of "localhost" can be ::1.
bool wants_ipv6(std::string_view endpoint) { return endpoint.find('[') != std::string_view::npos; }

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

/// "file.completed/incoming/" -> "incoming"; "" if it is no such topic.
std::string_view watch_of(std::string_view topic) {
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos || !topic.ends_with('/') || slash + 1 == topic.size())
    return {};
  return topic.substr(slash + 1, topic.size() - slash - 2);
}

std::optional<std::uint64_t> position_of(std::string_view text) {
  std::uint64_t position = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, position);
  if (error != std::errc() || rest != end) return std::nullopt;
  return position;
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

int connect_tcp(const std::string& endpoint, std::string_view address, Clock::time_point deadline,
                UniqueFd& fd) {
  const std::size_t colon = address.rfind(':');
  std::string host(address.substr(0, colon));
  const std::string port(address.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_family = wants_ipv6(address) ? AF_INET6 : AF_INET;  // as ZeroMQ does
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

/// Throws what is wrong at `endpoint`; returns if nothing is: a publisher may have started since.
void diagnose(const std::string& endpoint) {
  const auto deadline = Clock::now() + milliseconds(500);
  UniqueFd fd;
  const std::string_view view = endpoint;
  const int error = view.starts_with(kIpc)
                        ? connect_ipc(view.substr(kIpc.size()), deadline, fd)
                        : connect_tcp(endpoint, view.substr(kTcp.size()), deadline, fd);
  if (error != 0) throw connect_error(endpoint, error);
  const std::string mechanism = greeted_mechanism(fd.get(), deadline);
  if (mechanism.empty()) {
    throw ConnectionError(
        Reason::kNoInotifier,
        fmt::format("{}: something listens there, but it does not speak ZeroMQ: is it the endpoint "
                    "of [publish]?",
                    endpoint));
  }
  if (mechanism != "NULL") {
    throw ConnectionError(Reason::kHandshakeRefused,
                          fmt::format("{}: the peer wants {} keys", endpoint, mechanism));
  }
}

/// What becomes of a connection, from zmq_socket_monitor(3).
class Monitor {
 public:
  Monitor(zmq::context_t& context, zmq::socket_t& watched)
      : watched_(watched), events_(context, zmq::socket_type::pair) {
    constexpr int kWanted = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                            ZMQ_EVENT_DISCONNECTED;
    if (zmq_socket_monitor(watched.handle(), "inproc://monitor", kWanted) != 0) {
      throw zmq::error_t();
    }
    events_.connect("inproc://monitor");
  }
  ~Monitor() { zmq_socket_monitor(watched_.handle(), nullptr, 0); }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// The next event, or 0 when the time has run out.
  int next(Clock::time_point deadline) {
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

 private:
  zmq::socket_t& watched_;
  zmq::socket_t events_;
};

void wait_for_publisher(Monitor& monitor, const std::string& endpoint, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    switch (monitor.next(deadline)) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return;
      case ZMQ_EVENT_DISCONNECTED:
        // After a greeting, before the handshake's end: a ZeroMQ socket that is no PUB.
        throw ConnectionError(
            Reason::kNoInotifier,
            fmt::format(
                "{}: what listens there publishes nothing: is it the endpoint of [publish]?",
                endpoint));
      case 0:
        diagnose(endpoint);
        throw ConnectionError(Reason::kNothingListens,
                              fmt::format("{}: no publisher answered in time", endpoint));
      default:
        diagnose(endpoint);  // a daemon that stops or starts just now is tried again
    }
  }
}

}  // namespace

std::string default_publish_endpoint() {
  if (const char* given = std::getenv("INOTIFIER_PUBLISH_ENDPOINT"); given != nullptr && *given) {
    return given;
  }
  if (const char* directory = std::getenv("XDG_RUNTIME_DIR"); directory != nullptr && *directory) {
    const std::string path = std::string(directory) + "/inotifier/publish";
    struct stat there {};
    if (::stat(path.c_str(), &there) == 0) return "ipc://" + path;
  }
  return "ipc:///run/inotifier/publish";
}

struct Subscriber::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    if (options.endpoint.empty()) options.endpoint = default_publish_endpoint();
    for (const std::string& type : options.types) {
      if (options.watches.empty()) prefixes.push_back(type + '/');
      for (const std::string& watch : options.watches) prefixes.push_back(type + '/' + watch + '/');
    }
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvhwm, 100'000);
    socket.set(zmq::sockopt::maxmsgsize, kMaxMessage);
    socket.set(zmq::sockopt::ipv6, wants_ipv6(options.endpoint));
    socket.set(zmq::sockopt::reconnect_ivl, 100);
    socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
    if (std::string_view(options.endpoint).starts_with(kTcp)) {
      // A peer that vanished without a word is given up after 15 s, and looked for again.
      socket.set(zmq::sockopt::heartbeat_ivl, 5000);
      socket.set(zmq::sockopt::heartbeat_timeout, 15'000);
    }
    for (const std::string& prefix : prefixes) socket.set(zmq::sockopt::subscribe, prefix);
    if (prefixes.empty()) socket.set(zmq::sockopt::subscribe, "");
    // Last: the daemon reads subscriptions in order, so whoever gets a heartbeat gets the rest too.
    socket.set(zmq::sockopt::subscribe, kHeartbeatTopic);
    connect();
  }

  void connect() {
    const std::string& endpoint = options.endpoint;
    const auto fail = [&](std::string_view why) {
      throw ConnectionError(
          Reason::kBadEndpoint,
          fmt::format("\"{}\": {}; an endpoint is ipc:///run/inotifier/publish or "
                      "tcp://127.0.0.1:7556",
                      endpoint, why));
    };
    if (!endpoint.starts_with(kIpc) && !endpoint.starts_with(kTcp))
      fail("neither ipc:// nor tcp://");
    Monitor monitor(context, socket);
    try {
      socket.connect(endpoint);
    } catch (const zmq::error_t& error) {
      fail(error.what());
    }
    wait_for_publisher(monitor, endpoint, options.connect_timeout);
  }

  bool wanted(std::string_view topic) const {
    if (prefixes.empty()) {
      return options.watches.empty() || std::find(options.watches.begin(), options.watches.end(),
                                                  watch_of(topic)) != options.watches.end();
    }
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return topic.starts_with(prefix); });
  }

  /// One frame; false if there is none now.
  bool receive(zmq::message_t& frame) {
    if (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) >= 0) return true;
    if (zmq_errno() != EAGAIN && zmq_errno() != EINTR) throw zmq::error_t();
    return false;
  }

  /// The message that begins with `topic`: an event if it is one, and one that is wanted.
  std::optional<Event> take(zmq::message_t& topic_frame) {
    zmq::message_t body_frame;
    int frames = 1;
    bool more = topic_frame.more();
    while (more) {
      zmq::message_t extra;
      zmq::message_t& frame = frames == 1 ? body_frame : extra;
      if (!receive(frame)) continue;  // EINTR: the frames of a message arrive together
      more = frame.more();
      ++frames;
    }
    const std::string_view topic = topic_frame.to_string_view();
    const std::string_view body = body_frame.to_string_view();
    try {
      if (frames != 2) throw WireError("not two frames");
      if (topic == kHeartbeatTopic) {
        on_heartbeat(decode_value(body));
        return std::nullopt;
      }
      if (!wanted(topic)) return std::nullopt;
      Event event = decode(body);
      note(topic, event);
      return event;
    } catch (const WireError&) {
      ++malformed;
      return std::nullopt;
    }
  }

  void tell_gap(std::string_view topic, std::uint64_t after, std::uint64_t until) {
    if (!options.on_gap) return;
    options.on_gap(
        {std::string(topic), after == 0 ? "0" : position_text(after), position_text(until)});
  }

  void note(std::string_view topic, const Event& event) {
    const auto position = position_of(event.sequence);
    const auto previous = position_of(event.prevsequence);
    if (!position || !previous) return;
    auto known = last.find(topic);
    if (known == last.end()) {
      known = last.emplace(std::string(topic), 0).first;
      // Before the first heartbeat nobody knows what was there when we came.
      if (stream.empty()) known->second = *previous;
    }
    // A previous one that is older than what we have is that of another stream, which began since.
    if (*previous > known->second) tell_gap(topic, known->second, *previous);
    known->second = *position;
  }

  /// Everything in `last` was published before this heartbeat, and what reached us came before it
  /// too. So a position that we do not have is a loss, save in the first heartbeat: there it tells
  /// where we came in. After a restart with another stream no such excuse holds: we were there all
  /// the time, only not connected.
  void on_heartbeat(const Value& heartbeat) {
    const Value* told = heartbeat.find("stream");
    const Value* positions = heartbeat.find("last");
    if (told == nullptr || told->text() == nullptr || positions == nullptr ||
        positions->map() == nullptr) {
      throw WireError("no heartbeat");
    }
    const bool first = stream.empty();
    const bool restarted = !first && stream != *told->text();
    stream = *told->text();
    for (const auto& [topic, value] : *positions->map()) {
      const auto position = value.text() == nullptr ? std::nullopt : position_of(*value.text());
      if (!position || !wanted(topic)) continue;
      const auto [known, added] = last.try_emplace(topic, 0);
      const bool missing = restarted ? *position != known->second : *position > known->second;
      if (missing && !(first && added)) {
        tell_gap(topic, known->second < *position ? known->second : 0, *position);
      }
      if (missing) known->second = *position;
    }
  }

  Options options;
  std::vector<std::string> prefixes;  // empty = all
  zmq::context_t context{1};
  zmq::socket_t socket{context, zmq::socket_type::sub};
  std::uint64_t malformed = 0;
  std::string stream;                                      // "" before the first heartbeat
  std::map<std::string, std::uint64_t, std::less<>> last;  // by topic
};

Subscriber::Subscriber(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Subscriber::~Subscriber() = default;
Subscriber::Subscriber(Subscriber&&) noexcept = default;
Subscriber& Subscriber::operator=(Subscriber&&) noexcept = default;

std::optional<Event> Subscriber::next(std::chrono::milliseconds timeout) {
  const bool for_ever = timeout < milliseconds(0);
  const auto deadline = Clock::now() + (for_ever ? milliseconds(0) : timeout);
  zmq::message_t topic;
  for (;;) {
    while (impl_->receive(topic)) {
      if (auto event = impl_->take(topic)) return event;
      if (!for_ever && Clock::now() >= deadline) return std::nullopt;
    }
    zmq_pollitem_t item{impl_->socket.handle(), 0, ZMQ_POLLIN, 0};
    const int count = zmq_poll(&item, 1, for_ever ? -1 : milliseconds_until(deadline));
    if (count < 0 && zmq_errno() != EINTR) throw zmq::error_t();
    if (count < 0 || (count == 0 && Clock::now() >= deadline)) return std::nullopt;
  }
}

std::uint64_t Subscriber::malformed() const { return impl_->malformed; }

}  // namespace inotifier
