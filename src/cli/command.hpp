// Runs COMMAND for events, a few at a time, the rest waits in order. No shell: `{path}` and the
// like are replaced in the arguments, the event comes as JSON on standard input. Pipeline thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "inotifier/event.hpp"

namespace inotifier {

class CommandRunner {
 public:
  CommandRunner(std::vector<std::string> command, int parallel);

  void add(const Event& event);
  /// Collects what has ended (SIGCHLD) and starts what waits.
  void on_child();
  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::int64_t finished() const { return finished_; }
  std::int64_t failed() const { return failed_; }

 private:
  void start_some();
  void start(const Event& event);

  std::vector<std::string> command_;
  std::size_t parallel_;
  std::deque<Event> waiting_;
  std::set<pid_t> running_;
  std::int64_t finished_ = 0;
  std::int64_t failed_ = 0;
};

}  // namespace inotifier
