// Where sockets and journal of a person lie who has neither XDG_RUNTIME_DIR nor HOME:
// /tmp/inotifier-UID and /var/tmp/inotifier-UID. Everybody may make such a directory, so it is used
// only if it is ours and closed to others. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace inotifier {

/// `top`: "/tmp" or "/var/tmp".
std::string fallback_directory(std::string_view top);

/// Why a directory cannot be trusted: it is none, a symbolic link, another user's, or others may
/// write to it. "" if it can be.
std::string why_not_ours(const std::string& directory);

/// If `directory` is a fallback: makes it with mode 0700. Throws SetupError with path and remedy if
/// it is there and cannot be trusted.
void secure_if_fallback(const std::string& directory);

}  // namespace inotifier
