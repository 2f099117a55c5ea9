// What went wrong, in words a person can act on: call, path, errno, remedy.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace inotifier {

/// "inotify_add_watch /srv/in: No space left on device (ENOSPC): ..." without the remedy.
std::string describe(std::string_view call, std::string_view path, int error);

/// Whether an errno says that a path leads to nothing: a component is missing, is no directory, or
/// is a symbolic link where none is followed.
bool is_absence(int error);

/// A set-up step that failed; its message is complete (see describe) and ends with the remedy.
struct SetupError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Bad usage or configuration; the program ends with 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace inotifier
