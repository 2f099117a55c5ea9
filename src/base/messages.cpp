#include "base/messages.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace inotifier {
namespace {

/// For a reader that is a moment behind.
constexpr int kWaitMs = 100;

std::mutex mutex;
std::uint64_t dropped = 0;

/// A pipe that can be written to has room for so much (pipe(7)), so that no write waits.
bool write_some(std::string_view& text, int wait_ms) {
  pollfd item{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&item, 1, wait_ms) != 1 || (item.revents & POLLOUT) == 0) return false;
  const ssize_t some =
      ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
  if (some < 0) return errno == EINTR;
  text.remove_prefix(static_cast<std::size_t>(some));
  return true;
}

bool write_all(std::string_view text, int wait_ms) {
  while (!text.empty()) {
    if (!write_some(text, wait_ms)) return false;
  }
  return true;
}

}  // namespace

void write_message(std::string_view text) noexcept {
  const std::lock_guard lock(mutex);
  if (dropped > 0) {
    std::array<char, 80> note{};
    const auto end = fmt::format_to_n(note.data(), note.size(),
                                      "inotifier: {} messages were not written\n", dropped);
    if (!write_all({note.data(), end.size}, 0)) {
      ++dropped;
      return;
    }
    dropped = 0;
  }
  if (!write_all(text, kWaitMs)) ++dropped;
}

}  // namespace inotifier
