// A watch on a network or FUSE file system: turns what its poller saw into found files. It never
// touches the tree itself. Owned by the pipeline; pipeline thread.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "source/event_source.hpp"
#include "source/remote_tree.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class RemoteWatch final : public EventSource {
 public:
  RemoteWatch(RemoteTree::Asks asks, Sink& sink)
      : EventSource(sink), tree_(table_, kRootDir, std::move(asks), out_) {}

  void on_poll_result(const PollResult& result);

  void start(const Now& now) override { now_ = now; }
  void begin_turn(const Now& now) override { now_ = now; }
  void on_time() override {}
  bool slice(int) override { return false; }
  void set_room(std::size_t) override {}  // a poller keeps nothing but what it was asked for
  WatchTable& directories() override { return table_; }
  bool is_ready() const override { return !first_round_; }
  bool is_lost() const override { return tree_.is_lost(); }
  std::vector<Unanswered> unanswered() const override {
    std::vector<Unanswered> all;
    tree_.list_unanswered(now_.mono, all);
    return all;
  }
  void end_turn() override {}
  std::optional<Nanos> deadline() const override { return std::nullopt; }
  void rescan(std::string_view reason, Origin origin, bool absence_counts) override;

  bool path(DirId dir, std::string_view name, std::string& out) override;
  int stat(DirId dir, std::string_view name, Stat&) override { return tree_.stat(dir, name); }
  int stat_path(std::string_view, Stat&) override { return EAGAIN; }
  Writer writer(DirId, std::string_view, Stat&) override { return Writer::kUnknown; }
  std::uint64_t queued() const override { return 0; }  // there are no records
  std::uint64_t handled() const override { return 0; }
  std::uint32_t doubts() const override { return tree_.round(); }
  bool later_write_shows(const Stat&) override { return true; }  // it was quiet for seconds
  bool keeps_inodes() const override { return false; }

 private:
  Now now_;
  WatchTable table_;
  RemoteTree tree_;
  Nanos round_began_ = 0;
  bool first_round_ = true;
  std::string rescan_reason_;
};

}  // namespace inotifier
