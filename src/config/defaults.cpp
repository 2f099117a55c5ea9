#include "config/config.hpp"

namespace inotifier {
namespace {

const std::vector<std::string> kWatchTypes{"watch.ready", "watch.scanned",  "watch.rescan",
                                           "watch.lost",  "watch.restored", "watch.degraded"};
// inotify(7), in the order of its table.
const std::vector<std::string> kRawTypes{
    "in_access",      "in_attrib",  "in_close_write", "in_close_nowrite", "in_create",
    "in_delete",      "in_modify",  "in_delete_self", "in_move_self",     "in_moved_from",
    "in_moved_to",    "in_open",    "in_ignored",     "in_q_overflow",    "in_unmount"};

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
  static const std::vector<std::string> types =
      std::vector<std::string>{"file.completed", "file.moved", "file.removed", "file.stalled"} +
      kWatchTypes + kRawTypes;
  return types;
}

const std::vector<std::string>& known_processors() {
  static const std::vector<std::string> processors{"completed", "create-via-chunks", "all-events"};
  return processors;
}

std::vector<std::string> default_events(const std::string& processor) {
  if (processor == "all-events") return kRawTypes + kWatchTypes;
  return std::vector<std::string>{"file.completed", "file.stalled"} + kWatchTypes;
}

}  // namespace inotifier
