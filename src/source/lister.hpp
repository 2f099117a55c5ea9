// Lists one directory, some entries at a time: its files become found ones, its subdirectories
// further tasks. Owned by a Scanner; pipeline thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fs/fs.hpp"
#include "source/tree.hpp"

namespace inotifier {

/// A directory to be watched and listed: `self` if it has a number, else `name` in `parent`.
struct ListTask {
  DirRef self;
  DirRef parent;
  std::string name;
  std::string from;  ///< the path it had before, if it was moved; told with its files
  Origin origin = Origin::kNewDirectory;
  bool arm = true;    ///< false: its watch is known to be right
  bool late = false;  ///< a mount point, put off until all else of the scan is done
  bool files = true;
  bool subdirectories = true;
};

class Lister {
 public:
  /// `tasks`: where subdirectories go. `counter` numbers the listings of a watch.
  Lister(const WatchOptions& options, Fs& fs, Root& root, Tree& tree, Rescans& rescans,
         EventSource::Output& out, std::deque<ListTask>& tasks, std::uint32_t& counter)
      : options_(options),
        fs_(fs),
        root_(root),
        tree_(tree),
        rescans_(rescans),
        out_(out),
        tasks_(tasks),
        counter_(counter) {}
  ~Lister() { close(); }
  Lister(const Lister&) = delete;
  Lister& operator=(const Lister&) = delete;

  /// Opens the directory and gives it its watch. False: there is nothing to list.
  bool begin(ListTask task, bool absence_counts);
  /// Lists on; returns the units that are left. A directory that has left ends its listing.
  int advance(int units);
  bool is_listing() const { return listing_ != nullptr; }
  bool lists_files() const { return task_.files; }
  /// Goes on with subdirectories alone; the directory counts as one that is not listed.
  void leave_files();
  void close();
  /// Regular files that were shown since the last call.
  std::int64_t take_count() { return std::exchange(files_, 0); }

 private:
  bool resolve(DirId& parent);
  bool identify(DirId parent);
  void fail(const char* call, int error);
  void on_entry(const Entry& entry);
  void on_subdirectory(std::string_view name);
  void on_hidden(DirId parent, std::string_view name);
  void finish();
  void ask_for_missing();

  const WatchOptions& options_;
  Fs& fs_;
  Root& root_;
  Tree& tree_;
  Rescans& rescans_;
  EventSource::Output& out_;
  std::deque<ListTask>& tasks_;
  std::uint32_t& counter_;

  // Of the listing in progress.
  ListTask task_;
  DirRef dir_;
  bool is_alias_ = false;  ///< see Tree::Armed
  int handle_ = -1;
  std::string path_;
  std::uint32_t number_ = 0;
  bool absence_counts_ = true;
  std::unique_ptr<Listing> listing_;
  std::int64_t files_ = 0;
};

}  // namespace inotifier
