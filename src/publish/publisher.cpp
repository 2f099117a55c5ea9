#include "publish/publisher.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <zmq.hpp>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

constexpr std::string_view kIpc = "ipc://";
/// The path of an ipc endpoint; "" for tcp, for an abstract name ("@") and for a name ZeroMQ
/// chooses ("*").
std::string ipc_path(std::string_view endpoint) {
  if (!endpoint.starts_with(kIpc)) return {};
  endpoint.remove_prefix(kIpc.size());
  if (endpoint.starts_with('@') || endpoint == "*") return {};
  return std::string(endpoint);
}

void make_directory_of(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw SetupError(describe("mkdir", directory.native(), error.value()) +
                     ": make it, owned by the daemon's user, or set another [publish] endpoint");
  }
}

/// Held as long as the socket is: ZeroMQ removes a socket that lies there and puts its own in its
/// place, whoever listens on it. The file itself stays; removing it would let two daemons hold one
/// lock each.
UniqueFd lock(const std::string& path) {
  const std::string file = path + ".lock";
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) {
    throw SetupError(describe("open", file, errno) +
                     ": the daemon's user must be able to write in that directory");
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw SetupError(describe("flock", file, errno));
    throw SetupError(fmt::format(
        "another inotifier publishes on ipc://{} already: stop it, or set another [publish] "
        "endpoint",
        path));
  }
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    throw SetupError(fmt::format(
        "{} is there and is no socket: remove it, or set another [publish] endpoint", path));
  }
  return fd;
}

/// What bind(2) creates within its life gets mode 0660, so that there is no moment in which others
/// could connect. The mask is the process's: publishers are made before threads are.
class SocketMode {
 public:
  SocketMode() : before_(::umask(0117)) {}
  ~SocketMode() { ::umask(before_); }
  SocketMode(const SocketMode&) = delete;
  SocketMode& operator=(const SocketMode&) = delete;

 private:
  mode_t before_;
};

std::string_view remedy(int error) {
  switch (error) {
    case EADDRINUSE:
      return "another program listens there: stop it, or set another [publish] endpoint";
    case ENODEV:
    case EADDRNOTAVAIL:
      return "this machine has no such address";
    case EACCES:
      return "the daemon's user may not listen there";
    case ENAMETOOLONG:
      return "the path of a socket holds at most 107 bytes (unix(7)): choose a shorter one";
    default:
      return "an endpoint is ipc:///path, tcp://127.0.0.1:7556 or tcp://*:7556";
  }
}

}  // namespace

struct Publisher::Impl {
  std::vector<UniqueFd> locks;  // let go after the sockets are
  std::vector<std::string> paths;
  zmq::context_t context{1};
  zmq::socket_t socket{context, zmq::socket_type::pub};
  std::vector<std::string> endpoints;

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    socket.close();
    for (const std::string& path : paths) ::unlink(path.c_str());
  }

  void bind(const std::string& endpoint) {
    const std::string path = ipc_path(endpoint);
    if (!path.empty()) {
      make_directory_of(path);
      locks.push_back(lock(path));
      paths.push_back(path);
    }
    try {
      const SocketMode mode;
      // With it a bound 127.0.0.1 would be told as [::ffff:127.0.0.1], which few clients can reach.
      socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
      socket.bind(endpoint);
    } catch (const zmq::error_t& error) {
      throw SetupError(fmt::format("bind {}: {}: {}", endpoint, error.what(), remedy(error.num())));
    }
    endpoints.push_back(socket.get(zmq::sockopt::last_endpoint));
  }

  void send(std::string_view frame, int flags) {
    // PUB never waits: a subscriber whose queue is full is passed over.
    while (zmq_send(socket.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | flags) < 0) {
      if (zmq_errno() != EINTR) throw zmq::error_t();
    }
  }
};

Publisher::Publisher(const std::vector<std::string>& endpoints, int high_water_mark)
    : impl_(std::make_unique<Impl>()) {
  zmq::socket_t& socket = impl_->socket;
  socket.set(zmq::sockopt::sndhwm, high_water_mark);
  socket.set(zmq::sockopt::linger, 1000);  // at the end: what is queued may still leave
  // What a subscriber sends is its subscriptions; a topic has 64 + 64 bytes at most.
  socket.set(zmq::sockopt::maxmsgsize, std::int64_t{4096});
  // A subscriber that vanished without a word is let go, and with it what is queued for it.
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 10);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  for (const std::string& endpoint : endpoints) impl_->bind(endpoint);
}

Publisher::~Publisher() = default;

void Publisher::publish(std::string_view topic, std::string_view body) {
  impl_->send(topic, ZMQ_SNDMORE);
  impl_->send(body, 0);
}

const std::vector<std::string>& Publisher::endpoints() const { return impl_->endpoints; }

}  // namespace inotifier
