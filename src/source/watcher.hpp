// One watch: turns records into placed raw events, and has its parts keep the table of directories
// true to the disk. Watch, then list, then dedupe; any doubt becomes a rescan.
//
// Owned by the pipeline; pipeline thread. It calls its Sink synchronously.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "fs/fs.hpp"
#include "source/decode.hpp"
#include "source/event_source.hpp"
#include "source/file_probes.hpp"
#include "source/renames.hpp"
#include "source/rescans.hpp"
#include "source/root.hpp"
#include "source/scanner.hpp"
#include "source/shared_instance.hpp"
#include "source/tree.hpp"
#include "source/watch_options.hpp"

namespace inotifier {

class Watcher final : public EventSource, private Renames::Watch, private SharedInstance::Member {
 public:
  /// `instance` may be null: then the watch is polled.
  Watcher(WatchOptions options, Fs& fs, SharedInstance* instance, Renames& renames, Sink& sink);
  ~Watcher() override;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Opens the root and begins the first scan. A root that is not there is told by watch.lost.
  void start(const Now& now) override;
  void begin_turn(const Now& now) override;
  /// Of a remote volume below the root, or at its place.
  void on_poll_result(const PollResult& result);
  void on_time() override;
  bool slice(int units) override { return scanner_.slice(units); }
  void set_room(std::size_t files) override { scanner_.set_room(files); }
  WatchTable& directories() override { return tree_.table(); }
  bool is_ready() const override { return scanner_.is_ready(); }
  bool is_lost() const override { return lost_told_ || !root_.attached(); }
  /// Other wishes for the same root; the next scan gives every directory the new mask.
  void set_options(WatchOptions options);
  void end_turn() override;
  void rescan(std::string_view reason, Origin origin, bool absence_counts = true) override;
  std::optional<Nanos> deadline() const override;

  // Files
  bool path(DirId dir, std::string_view name, std::string& out) override;
  int stat(DirId dir, std::string_view name, Stat& out) override;
  int stat_path(std::string_view path, Stat& out) override;
  Writer writer(DirId dir, std::string_view name, Stat& out) override;
  void probe(std::span<const FileName> files) override { probes_.start(files); }
  std::uint64_t queued() const override {
    return !share_ || polled_ != nullptr ? 0 : share_.queued_bytes();
  }
  std::uint64_t handled() const override {
    return !share_ || polled_ != nullptr ? 0 : share_.handled_bytes();
  }
  std::uint32_t doubts() const override {
    constexpr std::uint32_t kOfPoller = 1U << 31U;
    return polled_ != nullptr ? kOfPoller | polled_->round() : rescans_.doubts();
  }
  bool later_write_shows(const Stat& stat) override;
  bool keeps_inodes() const override { return polled_ == nullptr && root_.traits().keeps_inodes; }
  std::vector<Unanswered> unanswered() const override;

 private:
  // Renames::Watch
  const std::string& root_path() const override { return root_.path(); }
  void on_moved(const MoveHalf& from, const MoveHalf& to) override;
  void on_arrived(const MoveHalf& to, std::string_view from_path) override;
  void on_left(const MoveHalf& from) override;

  // SharedInstance::Member
  void on_record(const Record& record, std::uint64_t position) override;
  void on_doubt(std::string_view reason) override { rescan(reason, Origin::kRescan); }
  bool holds(int wd) const override;
  bool is_there(int wd) override;
  void on_taken(int wd) override;
  void change_instance();

  void on_directory_record(const Record& record, DirId dir, const std::string& path);
  void on_lost_wd(DirId dir);
  void take_in(const MoveHalf& to, std::string_view from_path);
  void on_half(const Record& record, DirId dir, const std::string& path);
  void send(RawEvent event, const MoveHalf& at);

  void check_root();
  void check_mounts();
  void update_parts();
  RemoteTree* part_of(DirId dir);
  void adopt();
  void tell_no_lease(const FsTraits& traits, bool of_root);
  void lose(std::string_view reason);

  WatchOptions options_;
  Fs& fs_;
  InstanceShare share_;
  Renames& renames_;
  std::size_t number_;  ///< of the watch, in renames_
  Root root_;
  Rescans rescans_;
  Tree tree_;
  Scanner scanner_;
  FileProbes probes_;
  std::map<DirId, RemoteTree> parts_;   ///< by the directory where a remote volume is mounted
  const RemoteTree* polled_ = nullptr;  ///< whose poll result is being handled
  Now now_;
  bool lost_told_ = false;
  Nanos look_stamp_ = 0;  ///< Fs::stamp_clock() before the last look; 0: it was made just now
  Nanos next_check_ = 0;
  Nanos next_poll_ = 0;
};

}  // namespace inotifier
