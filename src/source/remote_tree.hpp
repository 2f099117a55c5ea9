// A network or FUSE tree, the whole of a watch or a part of it: turns what its poller saw into
// found files. It never touches the tree itself. Owned by a RemoteWatch or a Watcher; pipeline
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "source/event_source.hpp"
#include "source/poller.hpp"
#include "state/watch_table.hpp"

namespace inotifier {

class RemoteTree {
 public:
  struct Asks {
    std::function<void(std::vector<std::string>)> ask;  ///< Poller::ask
    std::function<void()> hurry;                        ///< Poller::hurry
    std::function<Nanos()> asked_since;                 ///< Poller::asked_since
  };
  /// `top`: the directory of the table that the poller's paths are relative to.
  RemoteTree(WatchTable& table, DirId top, Asks asks, EventSource::Output& out)
      : table_(table), top_(table.ref(top)), asks_(std::move(asks)), out_(out) {}

  const DirRef& top() const { return top_; }
  bool is_lost() const { return lost_; }
  /// Rounds through the tree, this one included; never 0.
  std::uint32_t round() const { return round_; }
  /// Regular files that this round has shown so far.
  std::int64_t files() const { return files_; }
  void hurry() { asks_.hurry(); }
  /// Adds what its poller has waited for so long that it is worth telling.
  void list_unanswered(Nanos now, std::vector<EventSource::Unanswered>& out) const;

  /// True at the end of a round.
  bool on_poll_result(const PollResult& result, Origin origin);
  /// After it.
  void end_round();
  /// ENOENT if the poller said so; otherwise EAGAIN, and the poller is asked.
  int stat(DirId dir, std::string_view name);

 private:
  DirId directory(std::string_view path);
  void on_unseen(const PollResult& result);
  void show(const PollResult& result, const std::string& prefix, Origin origin);
  void ask_for_unlisted();

  WatchTable& table_;
  DirRef top_;
  Asks asks_;
  EventSource::Output& out_;
  std::uint32_t round_ = 1;
  bool lost_ = false;
  std::set<std::string, std::less<>> gone_;  ///< during one call of on_poll_result
  std::vector<std::string> asked_;
  std::int64_t files_ = 0;
};

}  // namespace inotifier
