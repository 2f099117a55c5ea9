#include "source/root.hpp"

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"

namespace inotifier {
namespace {

// A disk that was asleep needs several seconds.
constexpr Nanos kSilence = 5 * kSecond;

/// A line is "<mount> <path relative to the root>".
std::set<std::string> paths_of(const std::string& lines) {
  std::set<std::string> paths;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string line = lines.substr(begin, end - begin);
    paths.insert(line.substr(line.find(' ') + 1));
    begin = end + 1;
  }
  paths.erase("");
  return paths;
}

}  // namespace

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

bool passes(int error) {
  return !is_absence(error) && error != EACCES && error != EPERM && error != ENAMETOOLONG;
}

std::string advice(int error) {
  switch (error) {
    case ENOSPC:
      return "the limit fs.inotify.max_user_watches is used up; raise it: "
             "sysctl fs.inotify.max_user_watches=1048576. Until then this directory is polled";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n, LimitNOFILE=); it is tried again soon";
    case ENOMEM:
      return "it is tried again soon";
    case EACCES:
      return "the daemon's user may not read this directory; give it r-x";
    default:
      return "this directory is polled";
  }
}

Nanos next_root_check(Nanos now, std::size_t number, std::size_t watches) {
  // A check costs some 20 us: idle watches shall not cost more than a few thousandths of a
  // processor.
  constexpr Nanos kShare = 10 * kMillisecond;
  constexpr Nanos kTogether = 250 * kMillisecond;  // one wake-up for these
  const Nanos interval =
      std::max(kSecond, static_cast<Nanos>(watches) * kShare) / kTogether * kTogether;
  const Nanos phase = static_cast<Nanos>(number) * kShare % interval / kTogether * kTogether;
  return now - (now - phase) % interval + interval;
}

bool is_empty(Fs& fs, int handle) {
  int error = 0;
  const auto listing = fs.list(handle, error);
  Entry entry;
  return listing != nullptr && listing->next(entry) == 0;
}

int Root::open() {
  if (handle_ >= 0 || !attached_ || silent_since_ != 0) return handle_;
  const int handle = fs_.open_root(path_);
  Stat stat;
  if (handle >= 0 && fs_.stat(handle, "", stat) == 0 && stat.inode == stat_.inode &&
      stat.mount == stat_.mount) {
    handle_ = handle;
    return handle_;
  }
  doubtful_ = !is_shortage(-handle);  // that passes; check() looks once a second anyway
  if (handle >= 0) fs_.close(handle);
  return -1;
}

void Root::close() {
  if (handle_ >= 0) fs_.close(std::exchange(handle_, -1));
}

Root::Change Root::check(Nanos now) {
  Change change;
  doubtful_ = false;
  const std::optional<RootProbe> probe = fs_.probe_root(path_);
  if (!probe) {
    close();
    if (silent_since_ == 0) silent_since_ = now;
    if (now - silent_since_ >= kSilence) {
      attached_ = false;
      change.lost = "not_responding";
    }
    return change;
  }
  silent_since_ = 0;
  const int handle = probe->handle;
  if (is_shortage(-handle)) {
    change.shortage = -handle;
    return change;
  }
  if (handle < 0) {
    close();
    attached_ = false;
    change.lost = handle == -ENOENT    ? "missing"
                  : handle == -ENOTDIR ? "not_a_directory"
                                       : "unreadable";
    return change;
  }
  const Stat& stat = probe->stat;
  const bool same = stat.inode == stat_.inode && stat.mount == stat_.mount;
  if (attached_ && same) {
    fs_.close(handle);
    return change;
  }
  if (attached_) {
    change.lost = stat.mount == stat_.mount ? "replaced"
                  : stat.mount_root         ? "mounted_over"
                                            : "unmounted";
    close();
    attached_ = false;
  }
  // An empty directory where a volume was mounted is not the watched tree; one that was our root
  // before something was mounted over it is.
  const bool lost_volume = ever_attached_ && stat_.mount_root && !stat.mount_root &&
                           !plain_.contains({stat.mount, stat.inode}) && is_empty(fs_, handle);
  const bool not_yet_mounted =
      !ever_attached_ && mount_expected_ && !stat.mount_root && is_empty(fs_, handle);
  if (lost_volume || not_yet_mounted) {
    fs_.close(handle);
    if (change.lost.empty()) change.lost = "unmounted";
    return change;
  }
  if (!stat.mount_root) plain_.emplace(stat.mount, stat.inode);
  attached_ = ever_attached_ = change.found = true;
  stat_ = stat;
  handle_ = handle;
  traits_ = probe->traits;
  mounts_ = fs_.mounts_below(path_).value_or("");
  return change;
}

std::optional<Root::Mounts> Root::mount_changes() {
  std::optional<std::string> now = fs_.mounts_below(path_);
  if (!now || (*now == mounts_ && !mounts_doubtful_)) return std::nullopt;
  mounts_doubtful_ = false;
  Mounts changes;
  std::string& mounts = *now;
  const auto before = paths_of(mounts_);
  const auto after = paths_of(mounts);
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(changes.gone));
  // The same path with another mount is a new volume too.
  for (const std::string& path : after) changes.mounted.push_back(path);
  mounts_ = std::move(mounts);
  return changes;
}

void Root::note_mount(const std::string& path, bool mounted) {
  if (paths_of(mounts_).contains(path) != mounted) mounts_doubtful_ = true;
}

bool Root::has_mounts_below(const std::string& path) const {
  const std::string above = path.empty() ? "" : path + '/';
  const auto paths = paths_of(mounts_);
  const auto first = paths.lower_bound(above);
  return first != paths.end() && first->starts_with(above);
}

}  // namespace inotifier
