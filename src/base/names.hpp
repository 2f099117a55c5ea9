// What the names of watches, consumers and daemons are made of. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace inotifier {

inline constexpr std::size_t kLongestName = 64;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Of a watch or a consumer: [A-Za-z0-9][A-Za-z0-9_-]{0,63}.
bool is_name(std::string_view text);
/// Of a daemon, which may be a host name: [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
bool is_daemon_name(std::string_view text);

}  // namespace inotifier
