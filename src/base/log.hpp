// Log lines to standard error, text or JSON. Any thread. Wraps spdlog so that its headers are
// compiled once.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace inotifier::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// `level` is one of debug, info, warning, error.
void set_up(std::string_view level, bool json);
bool enabled(Level level);
void write(Level level, std::string_view text);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug))
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace inotifier::log
