#include "cli/limits.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

namespace inotifier {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

/// Both hold: that of the system, and that of the user namespace (user_namespaces(7)).
InotifyLimit smaller(const std::string& system, const std::string& user) {
  const auto path_of = [](std::string name) {
    for (char& c : name) {
      if (c == '.') c = '/';
    }
    return "/proc/sys/" + name;
  };
  InotifyLimit limit{system, read_number(path_of(system))};
  const auto of_namespace = user.empty() ? std::nullopt : read_number(path_of(user));
  if (of_namespace && (!limit.most || *of_namespace < *limit.most)) limit = {user, of_namespace};
  return limit;
}

/// Of one process. False if it could not be looked at.
bool count(const fs::path& process, InotifyLimits& limits) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(it->path(), gone) != "anon_inode:inotify" || gone) continue;
    ++limits.instances_used;
    // proc(5): one line "inotify wd:..." for each watch.
    std::ifstream info(process / "fdinfo" / it->path().filename());
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("inotify ")) ++limits.watches_used;
    }
  }
  // One that has ended meanwhile uses nothing.
  return !error || error == std::errc::no_such_file_or_directory ||
         error == std::errc::no_such_process;
}

}  // namespace

InotifyLimits read_inotify_limits() {
  InotifyLimits limits;
  limits.watches = smaller("fs.inotify.max_user_watches", "user.max_inotify_watches");
  limits.instances = smaller("fs.inotify.max_user_instances", "user.max_inotify_instances");
  limits.queued_events = smaller("fs.inotify.max_queued_events", "");
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    struct stat stat {};
    if (::stat(it->path().c_str(), &stat) != 0 || stat.st_uid != ::geteuid()) continue;
    if (!count(it->path(), limits)) limits.is_complete = false;
  }
  return limits;
}

}  // namespace inotifier
