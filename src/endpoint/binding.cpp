#include "endpoint/binding.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <zmq.hpp>

#include "base/clock.hpp"
#include "base/endpoint.hpp"
#include "base/error.hpp"
#include "base/fallback_directory.hpp"
#include "base/log.hpp"
#include "config/rules.hpp"
#include "endpoint/connection_limit.hpp"
#include "endpoint/security.hpp"

namespace inotifier {
namespace {

constexpr int kBacklog = 128;
constexpr mode_t kSocketMode = 0660;
constexpr Nanos kLookInterval = 5 * kSecond;

void make_directory_of(const std::string& path, std::string_view section) {
  const auto directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) return;
  std::error_code error;
  secure_if_fallback(directory.native());
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw SetupError(
        fmt::format("{}: make it, owned by the daemon's user, or set another [{}] endpoint",
                    describe("mkdir", directory.native(), error.value()), section));
  }
}

gid_t group_id(const std::string& name) {
  std::array<char, 16384> buffer{};
  group entry{};
  group* found = nullptr;
  const int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  throw SetupError(fmt::format(
      "[security] group: there is no group \"{}\"{}: make it (groupadd --system {}), or write "
      "group = \"\"",
      name, error == 0 ? "" : fmt::format(" ({})", std::strerror(error)), name));
}

void give_to(const std::string& path, const std::string& name) {
  if (name.empty()) return;
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), group_id(name)) == 0) return;
  throw SetupError(
      fmt::format("{}: make the daemon's user a member of group \"{}\", or write another group "
                  "below [security]",
                  describe("chown", path, errno), name));
}

sockaddr_un address_of(const std::string& path, std::string_view section) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw SetupError(
        fmt::format("{}: the path of a socket holds at most 107 bytes (unix(7)): choose a shorter "
                    "one for the [{}] endpoint",
                    describe("bind", path, ENAMETOOLONG), section));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// Whether a program accepts connections there; its lock file may have been removed.
bool is_listening(int fd, const sockaddr_un& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

UniqueFd new_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw SetupError(describe("socket", path, errno) + ": raise the limit of open files");
  return fd;
}

/// A socket that listens at `path`, in place of one that a killed daemon left. ZeroMQ's own would
/// be open to everybody for a moment, and ZeroMQ would remove the path when it closes, however
/// late that is and whoever's it is by then.
UniqueFd listen_at(const std::string& path, std::string_view section, const std::string& group,
                   struct stat& made) {
  const sockaddr_un address = address_of(path, section);
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      throw SetupError(fmt::format(
          "{} is there and is no socket: remove it, or set another [{}] endpoint", path, section));
    }
    if (is_listening(new_socket(path).get(), address)) {
      throw SetupError(fmt::format(
          "another program listens on ipc://{} already: stop it, or set another [{}] endpoint",
          path, section));
    }
    if (::unlink(path.c_str()) != 0) {
      throw SetupError(
          describe("unlink", path, errno) +
          ": a socket that was left there; the daemon's user must be able to remove it");
    }
  }
  UniqueFd fd = new_socket(path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw SetupError(describe("bind", path, errno) +
                     ": the daemon's user must be able to write in that directory");
  }
  // Nobody can connect before listen(2).
  try {
    if (::chmod(path.c_str(), kSocketMode) != 0) throw SetupError(describe("chmod", path, errno));
    give_to(path, group);
    if (::lstat(path.c_str(), &made) != 0) throw SetupError(describe("lstat", path, errno));
    if (::listen(fd.get(), kBacklog) != 0) throw SetupError(describe("listen", path, errno));
  } catch (const SetupError&) {
    ::unlink(path.c_str());
    throw;
  }
  return fd;
}

std::string remedy(int error, std::string_view section) {
  switch (error) {
    case EADDRINUSE:
      return fmt::format("another program listens there: stop it, or set another [{}] endpoint",
                         section);
    case ENODEV:
    case EADDRNOTAVAIL:
      return "this machine has no such address";
    case EACCES:
      return "the daemon's user may not listen there";
    default:
      return "an endpoint is ipc:///path, tcp://127.0.0.1:7556 or tcp://*:7556";
  }
}

}  // namespace

BoundSocket::BoundSocket(zmq::socket_t& socket, const std::vector<std::string>& endpoints,
                         std::string_view section, const Security* security)
    : socket_(socket), section_(section), security_(security) {
  limit_connections();
  socket.set(zmq::sockopt::backlog, kBacklog);
  // Who connects and then says nothing, or speaks no ZeroMQ, is let go.
  socket.set(zmq::sockopt::handshake_ivl, 5000);
  // So is a peer that vanished without a word, and with it what is queued for it.
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 10);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  endpoints_ = endpoints;
  try {
    // First those that ask for no keys, then those that do.
    for (std::string& endpoint : endpoints_) {
      if (Endpoint(endpoint).is_ipc()) bind_ipc(endpoint);
    }
    for (std::string& endpoint : endpoints_) {
      if (!Endpoint(endpoint).is_ipc()) bind_tcp(endpoint);
    }
  } catch (...) {
    remove_paths();
    throw;
  }
}

BoundSocket::~BoundSocket() { remove_paths(); }

void BoundSocket::remove_paths() {
  for (const Path& path : paths_) {
    struct stat there {};
    const bool is_ours = ::lstat(path.name.c_str(), &there) == 0 && there.st_dev == path.device &&
                         there.st_ino == path.inode;
    if (is_ours) ::unlink(path.name.c_str());
  }
  paths_.clear();
}

void BoundSocket::put(Path& path) {
  make_directory_of(path.name, section_);
  if (!path.lock.take(path.name)) {
    throw SetupError(
        fmt::format("another inotifier {} on ipc://{} already: stop it, or set another [{}] "
                    "endpoint",
                    section_ == "publish" ? "publishes" : "listens", path.name, section_));
  }
  struct stat made {};
  UniqueFd fd =
      listen_at(path.name, section_, security_ == nullptr ? "" : security_->group(), made);
  path.device = made.st_dev;
  path.inode = made.st_ino;
  socket_.set(zmq::sockopt::use_fd, fd.get());
  std::string endpoint = "ipc://" + path.name;
  bind(endpoint);
  fd.release();  // ZeroMQ closes it with its listener
  socket_.set(zmq::sockopt::use_fd, -1);
}

void BoundSocket::bind_ipc(std::string& endpoint) {
  paths_.emplace_back();
  paths_.back().name = Endpoint(endpoint).address;
  put(paths_.back());
}

void BoundSocket::restore_paths() {
  const Nanos now = read_clocks().mono;
  if (paths_.empty() || now < next_look_) return;
  next_look_ = now + kLookInterval;
  for (Path& path : paths_) {
    struct stat there {};
    // One that somebody else has put there is theirs.
    if (::lstat(path.name.c_str(), &there) != 0 && errno == ENOENT) restore(path);
  }
}

void BoundSocket::restore(Path& path) {
  try {
    put(path);
    log::warning("ipc://{} was removed by somebody; it is there again", path.name);
    path.is_missing = false;
  } catch (const SetupError& error) {
    if (!std::exchange(path.is_missing, true)) {
      log::error("ipc://{} was removed by somebody, and nobody can connect there: {}", path.name,
                 error.what());
    }
  }
}

void BoundSocket::bind_tcp(std::string& endpoint) {
  const bool has_keys = security_ != nullptr && security_->has_keys();
  if (security_ != nullptr) security_->ask_for_keys(socket_);
  // With it a bound 127.0.0.1 would be told as [::ffff:127.0.0.1], which few clients can reach.
  socket_.set(zmq::sockopt::ipv6, Endpoint(endpoint).is_ipv6());
  // A peer that is asked and does not answer is gone. Not for PUB: a subscriber that is busy stops
  // reading when its queue is full, our question included, and would be cut off for being slow.
  if (socket_.get(zmq::sockopt::type) == static_cast<int>(zmq::socket_type::router)) {
    socket_.set(zmq::sockopt::heartbeat_ivl, 10'000);
    socket_.set(zmq::sockopt::heartbeat_timeout, 30'000);
  }
  bind(endpoint);
  if (!has_keys && config::is_beyond_loopback(endpoint)) {
    log::warning("{} asks for no keys (insecure = true): everybody who reaches it {}", endpoint,
                 section_ == "publish" ? "can read the names of all files"
                                       : "can read all events and forget consumers");
  }
}

void BoundSocket::bind(std::string& endpoint) {
  try {
    socket_.bind(endpoint);
  } catch (const zmq::error_t& error) {
    throw SetupError(
        fmt::format("bind {}: {}: {}", endpoint, error.what(), remedy(error.num(), section_)));
  }
  endpoint = socket_.get(zmq::sockopt::last_endpoint);
}

}  // namespace inotifier
