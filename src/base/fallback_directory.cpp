#include "base/fallback_directory.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"

namespace inotifier {

std::string fallback_directory(std::string_view top) {
  return fmt::format("{}/inotifier-{}", top, ::geteuid());
}

std::string why_not_ours(const std::string& directory) {
  struct stat there {};
  if (::lstat(directory.c_str(), &there) != 0) return describe("lstat", directory, errno);
  if (S_ISLNK(there.st_mode)) return directory + " is a symbolic link";
  if (!S_ISDIR(there.st_mode)) return directory + " is no directory";
  if (there.st_uid != ::geteuid()) {
    return fmt::format("{} belongs to uid {}, not to {}", directory, there.st_uid, ::geteuid());
  }
  if ((there.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fmt::format("{} has mode {:04o}: others may write to it", directory,
                       there.st_mode & 07777U);
  }
  return {};
}

void secure_if_fallback(const std::string& directory) {
  if (directory != fallback_directory("/tmp") && directory != fallback_directory("/var/tmp")) {
    return;
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    throw SetupError(describe("mkdir", directory, errno) +
                     ": set XDG_RUNTIME_DIR and HOME, or the endpoints and the journal's path");
  }
  if (const std::string reason = why_not_ours(directory); !reason.empty()) {
    throw SetupError(reason +
                     ", so it cannot hold a socket or a journal: remove it, or set XDG_RUNTIME_DIR "
                     "and HOME, or the endpoints and the journal's path");
  }
  if (::chmod(directory.c_str(), 0700) != 0) {
    throw SetupError(describe("chmod", directory, errno));
  }
}

}  // namespace inotifier
