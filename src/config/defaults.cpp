#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/path.hpp"
#include "config/keys.hpp"

namespace inotifier {
namespace {

const std::vector<std::string> kWatchTypes{"watch.ready", "watch.scanned",  "watch.rescan",
                                           "watch.lost",  "watch.restored", "watch.degraded"};
// inotify(7), in the order of its table.
const std::vector<std::string> kRawTypes{
    "in_access",   "in_attrib", "in_close_write", "in_close_nowrite", "in_create",
    "in_delete",   "in_modify", "in_delete_self", "in_move_self",     "in_moved_from",
    "in_moved_to", "in_open",   "in_ignored",     "in_q_overflow",    "in_unmount"};

std::vector<std::string> operator+(std::vector<std::string> left,
                                   const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace

// Receivers' and browsers' names for what is not finished; ".*.??????" is rsync's, ".in.*" that of
// FTP servers.
const std::vector<std::string> kDefaultTemporary{"*.part",       "*.partial", "*.tmp", "*.filepart",
                                                 "*.crdownload", ".*.??????", ".in.*"};
const std::vector<std::string> kDefaultExclude{".*", "*~"};

const std::vector<std::string>& known_event_types() {
  static const std::vector<std::string> kTypes =
      std::vector<std::string>{"file.completed", "file.moved", "file.removed", "file.stalled"} +
      kWatchTypes + kRawTypes;
  return kTypes;
}

const std::vector<std::string>& known_processors() {
  static const std::vector<std::string> kProcessors{"completed", "create-via-chunks", "all-events"};
  return kProcessors;
}

std::vector<std::string> default_events(const std::string& processor) {
  if (processor == "all-events") return kRawTypes + kWatchTypes;
  return std::vector<std::string>{"file.completed", "file.stalled"} + kWatchTypes;
}

namespace config {

std::string default_daemon_name() {
  char buffer[HOST_NAME_MAX + 1] = {};
  ::gethostname(buffer, sizeof buffer - 1);
  std::string name(buffer);
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!good && c != '.' && c != '_') c = '-';
  }
  name.erase(0, std::min(name.find_first_not_of("-._"), name.size()));
  return name.empty() ? "localhost" : name;
}

std::string default_endpoint(const Environment& environment) {
  const bool is_service =
      ::geteuid() == 0 || ::faccessat(AT_FDCWD, "/run/inotifier", W_OK | X_OK, AT_EACCESS) == 0;
  if (is_service) return "ipc:///run/inotifier/publish";
  const auto runtime = environment("XDG_RUNTIME_DIR");
  if (runtime && runtime->starts_with('/')) {
    return fmt::format("ipc://{}/publish", join(*runtime, "inotifier"));
  }
  return fmt::format("ipc:///tmp/inotifier-{}/publish", ::geteuid());
}

}  // namespace config
}  // namespace inotifier
