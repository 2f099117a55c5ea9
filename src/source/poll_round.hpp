// One round through a network or FUSE tree: every regular file with its stat, in parcels. Owned by
// the thread of a Poller, which runs it again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/fs.hpp"

namespace inotifier {

struct PolledFile {
  std::string path;  ///< relative to the root
  Stat stat;
};

/// Part of one round through the tree, in order.
struct PollResult {
  std::size_t watch = 0;
  DirId part = kRootDir;          ///< directory that the paths are relative to
  Stat root;                      ///< what the paths are relative to
  std::vector<PolledFile> files;  ///< regular files
  std::vector<std::string> gone;  ///< of what was asked for: lstat said ENOENT
  bool end_of_round = false;
  bool whole = true;             ///< at the end: every directory could be read
  int root_error = 0;            ///< the root could not be opened; nothing was seen
  bool unmounted = false;        ///< the root is on no remote volume any more; nothing was seen
  std::int64_t directories = 0;  ///< at the end
  std::vector<std::pair<std::string, int>> unreadable;  ///< directories, errno
};

class PollRound {
 public:
  struct Options {
    std::size_t watch = 0;
    DirId part = kRootDir;
    std::string root;  ///< absolute
    bool recursive = true;
    std::function<bool(std::string_view)> enters;
  };
  struct Owner {
    std::function<void()> asking;         ///< before each call that a dead server never answers
    std::function<bool(PollResult)> put;  ///< false: stop
    std::function<std::vector<std::string>()> take_asked;  ///< paths to be looked at by name
  };
  /// `fs` must live longer.
  PollRound(Options options, Fs& fs, Owner owner)
      : options_(std::move(options)), fs_(fs), owner_(std::move(owner)) {}

  void run();

 private:
  bool send();
  void look_at_asked(int root);
  bool list(int root, const std::string& directory);
  bool on_entry(int handle, const std::string& directory, const Entry& entry);

  const Options options_;
  Fs& fs_;
  const Owner owner_;
  // Of the round.
  Stat at_root_;
  PollResult parcel_;
  std::vector<std::string> to_list_;
  bool whole_ = true;
  std::int64_t directories_ = 0;
  std::vector<std::pair<std::string, int>> unreadable_;
};

}  // namespace inotifier
