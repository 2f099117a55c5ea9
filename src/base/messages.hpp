// Messages to standard error, which the log is written to as well. Any thread. Nobody has to be
// able to read them: one that cannot be written soon is dropped, and counted.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace inotifier {

/// Neither throws nor waits for long, whatever standard error is: a full disk, a pipe whose reader
/// has stopped or gone, a terminal that is held.
void write_message(std::string_view text) noexcept;

template <typename... Args>
void print_message(fmt::format_string<Args...> format, Args&&... args) {
  write_message(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace inotifier
