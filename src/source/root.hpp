// The root of a watch: a path that may lead elsewhere, or nowhere, from one second to the next.
// Missing, deleted, replaced, mounted over, unmounted; some of these give no event at all, so the
// path is compared with what was watched. Owned by a Watcher; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/fs.hpp"

namespace inotifier {

/// An errno that says nothing of the directory: the process or the system is short of something.
bool is_shortage(int error);
/// An errno after which the same call may succeed: nothing else would look again. A right that is
/// given back gives an ATTRIB.
bool passes(int error);
/// The remedy for what a call on a directory returned.
std::string advice(int error);
/// Whether nothing is in the directory; false if that cannot be seen.
bool is_empty(Fs& fs, int handle);

/// Monotonic time when the root of a watch is compared with its path again: once a second where
/// there are few watches, and 100 of them a second where there are many, some at a time. `number`:
/// of the watch; `watches`: how many there are.
Nanos next_root_check(Nanos now, std::size_t number, std::size_t watches);

class Root {
 public:
  Root(std::string path, Fs& fs) : path_(std::move(path)), fs_(fs) {}
  ~Root() { close(); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  const std::string& path() const { return path_; }
  /// It was there at the last check().
  bool attached() const { return attached_; }
  /// Something looked wrong since the last check().
  bool doubtful() const { return doubtful_; }
  void doubt() { doubtful_ = true; }

  /// In an earlier life of the daemon a volume was mounted here: an empty directory in its place is
  /// not the watched tree.
  void expect_mount() { mount_expected_ = true; }

  /// A descriptor, the same until close(); -1, and doubt, if the path does not lead to our root
  /// just now. Not kept over the turns: it would keep the volume from being unmounted.
  int open();
  void close();

  struct Change {
    std::string_view lost;  ///< why, if what was there is there no more; "" = it is
    bool found = false;     ///< there is a root now, another one than before
    int shortage = 0;       ///< errno if it could not be looked at just now
  };
  /// Compares path and knowledge. If it was lost and found at once, both are set.
  /// `now`: monotonic. A path that does not answer is lost after a while; until it does answer, it
  /// is not touched.
  Change check(Nanos now);
  /// Monotonic time since when it does not answer; 0 = it does.
  Nanos silent_since() const { return silent_since_; }

  const Stat& stat() const { return stat_; }
  const FsTraits& traits() const { return traits_; }

  struct Mounts {
    std::vector<std::string> gone;     ///< relative paths where a volume was
    std::vector<std::string> mounted;  ///< and where there is one that was not
  };
  /// What was mounted and unmounted below the root since the last call; nothing if all is as it
  /// was.
  std::optional<Mounts> mount_changes();
  /// A directory there turned out to be a mount point, or to be none. If that was so for a moment
  /// only, the list does not show it: the next mount_changes() is one all the same.
  void note_mount(const std::string& path, bool mounted);
  /// Whether anything was mounted below that path then.
  bool has_mounts_below(const std::string& path) const;

 private:
  std::string path_;
  Fs& fs_;
  int handle_ = -1;
  bool attached_ = false;
  bool doubtful_ = false;
  Nanos silent_since_ = 0;
  bool ever_attached_ = false;
  bool mount_expected_ = false;
  Stat stat_;  ///< of the root that is, or last was, attached
  FsTraits traits_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> plain_;  ///< mount, inode: roots, no volumes
  std::string mounts_;
  bool mounts_doubtful_ = false;
};

}  // namespace inotifier
