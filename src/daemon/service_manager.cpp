#include "daemon/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#if INOTIFIER_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace inotifier {
namespace {

// The status line need not be newer than that.
constexpr Nanos kInterval = 10 * kSecond;

#if INOTIFIER_SYSTEMD
/// What sd_notify(3) does, but for waiting: a manager that reads nothing holds up no file.
void send(const std::string& state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = name == nullptr ? 0 : std::strlen(name);
  if (size < 2 || size >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return;
  std::memcpy(address.sun_path, name, size);
  if (name[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address), length);
}

/// Twice within the manager's patience, as sd_watchdog_enabled(3) recommends.
Nanos interval() {
  std::uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) <= 0) return kInterval;
  return std::min(kInterval, static_cast<Nanos>(micros / 2) * kMicrosecond);
}
#else
void send(const std::string&) {}
Nanos interval() { return kInterval; }
#endif

bool is_present() { return INOTIFIER_SYSTEMD && std::getenv("NOTIFY_SOCKET") != nullptr; }

}  // namespace

ServiceManager::ServiceManager() : present_(is_present()), interval_(interval()) {}

std::optional<Nanos> ServiceManager::after_turn(Nanos mono,
                                                const std::function<std::string()>& status) {
  if (!present_) return std::nullopt;
  if (ready_ && mono < next_) return next_;
  std::string state;
  if (!std::exchange(ready_, true)) state = "READY=1\n";
  std::string line = status();
  if (line != line_) {
    line_ = std::move(line);
    state += "STATUS=" + line_ + "\n";
  }
  send(state + "WATCHDOG=1");
  next_ = mono + interval_;
  return next_;
}

void ServiceManager::reloading() {
  if (!present_) return;
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(read_clocks().mono / kMicrosecond));
  ready_ = false;
}

void ServiceManager::stopping() {
  if (present_) send("STOPPING=1");
}

}  // namespace inotifier
