#include "endpoint/connection_limit.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace inotifier {
namespace {

// Enough for any number of clients; and a connection costs memory besides.
constexpr std::uint64_t kMostLocal = 10'000;

std::atomic<std::uint64_t> refused{0};
/// It is told when it begins, and not for every wave of those who try again and again.
constexpr Nanos kTellInterval = 60 * kSecond;
std::atomic<bool> is_full{false};
std::atomic<Nanos> tell_at{0};

std::string name_of(const sockaddr_storage& address, socklen_t size) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address);
    const std::size_t length = std::max<std::size_t>(size, offsetof(sockaddr_un, sun_path)) -
                               offsetof(sockaddr_un, sun_path);
    return "ipc://" + std::string(local.sun_path, ::strnlen(local.sun_path, length));
  }
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return fmt::format("tcp://{}:{}", text.data(), ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return fmt::format("tcp://[{}]:{}", text.data(), ntohs(v6.sin6_port));
  }
  return "a socket";
}

/// On the thread that accepts.
void tell(const std::string& endpoint, const std::string& why, std::uint64_t open_files) {
  try {
    log::warning(
        "{}: {}; new connections are refused until there are fewer, those that are there go on: "
        "see who connects (ss -axp, ss -tnp), or raise the limit of open files, now {} "
        "(LimitNOFILE= of the unit, ulimit -n)",
        endpoint, why, open_files);
  } catch (...) {  // libzmq's thread knows no exceptions
  }
}

/// accept4(2) with the limits.
int accept_within(int listener, sockaddr* peer, socklen_t* peer_size, int flags) {
  const auto fd = static_cast<int>(::syscall(SYS_accept4, listener, peer, peer_size, flags));
  const bool used_up = fd < 0 && errno == EMFILE;
  if (fd < 0 && !used_up) return fd;

  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const ConnectionLimits limits = connection_limits(limit.rlim_cur);
  const std::uint64_t most = address.ss_family == AF_UNIX ? limits.local : limits.network;
  if (!used_up && static_cast<std::uint64_t>(fd) < most) {
    // Not for every one that leaves and comes back.
    if (is_full && static_cast<std::uint64_t>(fd) < most - most / 4) is_full = false;
    return fd;
  }
  const Nanos now = read_clocks().mono;
  if (!is_full.exchange(true) && now >= tell_at) {
    tell_at = now + kTellInterval;
    tell(name_of(address, size),
         used_up ? std::string("no descriptor is left for a connection")
                 : fmt::format("{} descriptors are in use", fd),
         limit.rlim_cur);
  }
  if (used_up) {
    // It stays in the queue, so we are called again at once.
    ::poll(nullptr, 0, 1);
  } else {
    ++refused;
    ::close(fd);
  }
  errno = ECONNABORTED;
  return -1;
}

}  // namespace

ConnectionLimits connection_limits(std::uint64_t open_files) {
  const std::uint64_t local = std::min(open_files - open_files / 4, kMostLocal);
  return {local, local - local / 3};
}

void limit_connections() {}

std::uint64_t refused_connections() { return refused; }

}  // namespace inotifier

// The program's symbols go before those of the C library, for shared libraries too (ld.so(8)).
extern "C" {

__attribute__((visibility("default"), used)) int accept4(int listener, sockaddr* __restrict peer,
                                                         socklen_t* __restrict peer_size,
                                                         int flags) {
  return inotifier::accept_within(listener, peer, peer_size, flags);
}

__attribute__((visibility("default"), used)) int accept(int listener, sockaddr* __restrict peer,
                                                        socklen_t* __restrict peer_size) {
  return inotifier::accept_within(listener, peer, peer_size, 0);
}
}
