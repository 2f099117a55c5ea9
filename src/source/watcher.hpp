// One watch: keeps its table of directories true to the disk, whatever happens, and turns records
// into placed raw events. Watch, then list, then dedupe; any doubt becomes a rescan.
//
// Owned by the pipeline; pipeline thread. It calls its Sink synchronously. Work is cut by units
// (about one directory entry each), so that no turn is long.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/fs.hpp"
#include "inotifier/processor.hpp"
#include "source/decode.hpp"
#include "source/event_source.hpp"
#include "source/renames.hpp"
#include "source/root.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class Watcher final : public EventSource, private Renames::Watch {
 public:
  struct Options {
    std::string root;  ///< absolute
    bool recursive = true;
    std::uint32_t mask = 0;  ///< what processor and raw events need; the watcher adds its own
    bool raw = false;        ///< every record is wanted, also of files that have no name any more
    Nanos poll_interval = 0;
    bool known = false;  ///< the tree was watched in an earlier life: most files are known
    /// Whether a directory (relative path) can hold anything of interest.
    std::function<bool(std::string_view)> enters;
  };

  /// `notifier` may be null: then the watch is polled.
  Watcher(Options options, Fs& fs, Notifier* notifier, Renames& renames, Sink& sink);
  ~Watcher() override;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Opens the root and begins the first scan. A root that is not there is told by watch.lost.
  void start(const Now& now) override;
  void begin_turn(const Now& now, std::uint32_t turn) override { now_ = now, turn_ = turn; }
  /// Records in the order of the queue; `position` is the stream position of the first byte.
  void on_bytes(std::span<const std::byte> bytes, std::uint64_t position);
  void on_time() override;
  bool slice(int units) override;
  void hold_scans(bool on) override { scans_held_ = on; }
  WatchTable& directories() override { return table_; }
  bool is_ready() const override { return ready_told_; }
  bool is_lost() const override { return lost_told_ || !root_.attached(); }
  /// Other wishes for the same root; the next scan gives every directory the new mask.
  void set_options(Options options);
  void end_turn(bool announced) override;
  void rescan(std::string_view reason, Origin origin, bool absence_counts = true) override;

  std::optional<Nanos> deadline() const override;

  // Files
  bool path(DirId dir, std::string_view name, std::string& out) override;
  int stat(DirId dir, std::string_view name, Stat& out) override;
  int stat_path(std::string_view path, Stat& out) override;
  Writer writer(DirId dir, std::string_view name, Stat& out) override;
  bool queued_before_end_of(std::uint32_t turn, std::uint64_t position) const override;
  std::uint32_t turn() const override { return turn_; }
  void note_turn() override { turn_noted_ = true; }
  bool caught_up_with(std::uint32_t turn) const override;
  bool later_write_shows(const Stat& stat) override;
  bool keeps_inodes() const override { return root_.traits().keeps_inodes; }

 private:
  /// A directory's number together with its generation: a number may be given anew.
  struct Ref {
    DirId dir = kNoDir;
    std::uint32_t generation = 0;
  };
  /// A directory to be watched and listed: `self` if it has a number, else `name` in `parent`.
  struct Task {
    Ref self;
    Ref parent;
    std::string name;
    std::string from;  ///< the path it had before, if it was moved; told with its files
    Origin origin = Origin::kNewDirectory;
    bool arm = true;  ///< false: its watch is known to be right
    bool files = true;
    bool subdirectories = true;
  };
  /// A listing in progress.
  struct Lister {
    Task task;
    DirId dir = kNoDir;
    int handle = -1;
    std::string path;
    std::uint32_t number = 0;
    bool absence_counts = true;
    std::unique_ptr<Listing> listing;
    explicit operator bool() const { return listing != nullptr; }
  };
  struct Scan {
    enum class Phase { kIdle, kArm, kList, kDrop } phase = Phase::kIdle;
    std::uint32_t number = 0;
    Origin origin = Origin::kStartup;
    std::string reason;
    bool absence_counts = true;
    bool ready_first = true;  ///< first watch all directories, then list their files
    DirId cursor = 0;
    std::vector<Task> stack;
    /// Directories that were not where they were known to be: dropped at the end, for until then
    /// they may turn up elsewhere.
    std::vector<Ref> missing;
    std::map<DirId, std::string> moved;  ///< those that did, with the paths they had
    /// inode -> number of the directories without a wd, sorted: what was known before the daemon
    /// came. A directory is known again by inode and creation time.
    std::vector<std::pair<std::uint64_t, DirId>> known;
    Nanos started = 0;
    std::int64_t files = 0;
  };
  struct Due {
    std::string reason;
    Origin origin;
    bool absence_counts;
  };

  /// A directory that left its place and may turn up elsewhere.
  struct Limbo {
    Ref self;
    DirId from_dir = kNoDir;
    std::string name;
    Nanos until = 0;
  };

  // Renames::Watch
  const std::string& root_path() const override { return root_.path(); }
  void on_moved(const MoveHalf& from, const MoveHalf& to) override;
  void on_arrived(const MoveHalf& to, std::string_view from_path) override;
  void on_left(const MoveHalf& from) override;

  void on_record(const Record& record, std::uint64_t position);
  void on_directory_record(const Record& record, DirId dir, const std::string& path);
  void on_half(const Record& record, DirId dir, const std::string& path);
  void send(RawEvent event, const MoveHalf& at);
  void on_lost_wd(DirId dir);

  Ref ref(DirId dir) const { return {dir, table_.at(dir).generation}; }
  bool is_valid(const Ref& ref) const;
  void take_in(DirId parent, std::string_view name, Origin origin, std::string_view from);
  bool begin(Lister& lister, Task task, bool absence_counts);
  int advance(Lister& lister, int units, bool scanning);
  bool on_entry(Lister& lister, const Entry& entry, bool scanning);
  void finish(Lister& lister, bool scanning);
  void close(Lister& lister);
  DirId arm(DirId parent, const std::string& name, int handle, const Stat& stat,
            const std::string& path, std::string& moved_from);
  int add_watch(int handle, const std::string& path);
  void set_watch(DirId dir, int wd);
  void not_there(DirId parent, const std::string& name, int error, const std::string& path);
  void drop(DirId top);
  void miss(DirId dir);
  void replace(DirId dir);
  DirId known_directory(const Stat& stat, DirId there);
  bool drop_missing(const Ref& missing);
  void end_scan();
  std::string last_path(DirId dir) const;
  std::string former_path(DirId dir) const;
  void unwatch(DirId top);
  void detach(DirId dir);
  std::vector<DirId> subtree(DirId top) const;  ///< the deepest last
  int open_directory(DirId dir);
  void close_directory();
  int run_fresh(int units);
  int run_scan(int units);
  void begin_scan(Due due);

  void check_root();
  void check_mounts();
  void adopt();
  void lose(std::string_view reason);

  /// Relative path of a directory; null while it is on its way.
  const std::string* dir_path(DirId dir);
  const FsTraits& traits_of(DirId dir) const;
  Nanos scan_due_at() const;
  void table_changed();

  Options options_;
  Fs& fs_;
  Notifier* notifier_;
  Renames& renames_;
  std::size_t number_;  ///< of the watch, in renames_
  Root root_;
  Now now_;
  std::uint32_t turn_ = 0;

  WatchTable table_;
  std::map<std::uint64_t, FsTraits> others_;  ///< of what is mounted below it, by device
  bool ready_told_ = false;
  bool lost_told_ = false;
  Nanos next_check_ = 0;
  Nanos next_poll_ = 0;

  Scan scan_;
  std::optional<Due> rescan_due_;
  Nanos last_scan_end_ = 0;
  Nanos back_off_ = 0;
  std::uint32_t listings_ = 0;
  bool scans_held_ = false;
  Lister scan_lister_;
  Lister fresh_lister_;
  std::deque<Task> fresh_;
  std::vector<Limbo> limbo_;
  std::map<DirId, std::string> was_at_;  ///< paths of what is detached
  std::set<DirId> unwatched_;            ///< no wd: to be polled
  std::set<std::string> lost_mounts_;    ///< relative paths of volumes that went away
  std::deque<std::pair<std::uint32_t, std::uint64_t>> turn_ends_;  ///< turn, queue position
  bool turn_noted_ = false;
  std::uint64_t handled_ = 0;  ///< bytes of records

  DirId cached_dir_ = kNoDir;
  std::string cached_path_;
  DirId opened_dir_ = kNoDir;
  int opened_ = -1;  ///< see open_directory()
};

}  // namespace inotifier
