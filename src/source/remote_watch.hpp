// A watch on a network or FUSE file system: turns what its poller saw into found files. It never
// touches the tree itself. Owned by the pipeline; pipeline thread.
#pragma once

#include <cerrno>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "source/event_source.hpp"
#include "source/poller.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class RemoteWatch final : public EventSource {
 public:
  struct Asks {
    std::function<void(std::vector<std::string>)> ask;  ///< Poller::ask
    std::function<void()> hurry;                        ///< Poller::hurry
  };
  RemoteWatch(Asks asks, Sink& sink) : EventSource(sink), asks_(std::move(asks)) {}

  void on_poll_result(const PollResult& result);

  void start(const Now& now) override { now_ = now; }
  void begin_turn(const Now& now) override { now_ = now; }
  void on_time() override {}
  bool slice(int) override { return false; }
  void hold_scans(bool) override {}  // a poller keeps nothing but what it was asked for
  WatchTable& directories() override { return table_; }
  bool is_ready() const override { return !first_round_; }
  bool is_lost() const override { return lost_; }
  void end_turn() override {}
  std::optional<Nanos> deadline() const override { return std::nullopt; }
  void rescan(std::string_view reason, Origin origin, bool absence_counts) override;

  bool path(DirId dir, std::string_view name, std::string& out) override;
  /// ENOENT if the poller said so; otherwise EAGAIN, and the poller is asked.
  int stat(DirId dir, std::string_view name, Stat& out) override;
  int stat_path(std::string_view, Stat&) override { return EAGAIN; }
  Writer writer(DirId, std::string_view, Stat&) override { return Writer::kUnknown; }
  std::uint64_t queued() const override { return 0; }  // there are no records
  std::uint64_t handled() const override { return 0; }
  std::uint32_t doubts() const override { return round_; }
  bool later_write_shows(const Stat&) override { return true; }  // it was quiet for seconds
  bool keeps_inodes() const override { return false; }

 private:
  DirId directory(std::string_view path);

  Asks asks_;
  Now now_;
  WatchTable table_;
  std::uint32_t round_ = 1;
  Nanos round_began_ = 0;
  bool first_round_ = true;
  bool lost_ = false;
  std::string rescan_reason_;
  std::set<std::string, std::less<>> gone_;  ///< during one call of on_poll_result
  std::vector<std::string> asked_;
  std::int64_t files_ = 0;
};

}  // namespace inotifier
