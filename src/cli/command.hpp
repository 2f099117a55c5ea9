// Runs COMMAND for events. No shell: `{path}` and the like are replaced in the arguments, the event
// comes as JSON on standard input. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "inotifier/event.hpp"
#include "inotifier/time.hpp"

namespace inotifier {

/// Processes of one command, each with a number that the caller gave it.
class Jobs {
 public:
  struct Options {
    Nanos timeout = 0;       ///< then TERM, five seconds later KILL; 0 = never
    bool own_group = false;  ///< a process group of its own, which is what signals are sent to
  };
  struct Ended {
    std::int64_t number = 0;
    int status = 0;          ///< as of waitpid(2)
    bool timed_out = false;  ///< it was ended for that, whatever its status says
    bool stopped = false;    ///< by end_all()
  };

  Jobs(std::vector<std::string> command, Options options);

  /// 0 or the errno of posix_spawn(3).
  int start(std::int64_t number, const Event& event, Nanos now);
  /// What has ended since (SIGCHLD). Takes the status of other children too.
  std::vector<Ended> collect(Nanos now);
  /// Sends the signals that are due.
  void enforce(Nanos now);
  /// Monotonic time of the next enforce(); nothing if none is due.
  std::optional<Nanos> deadline() const;
  /// TERM for all, KILL after five seconds.
  void end_all(Nanos now);
  std::size_t running() const { return running_.size(); }
  const std::string& name() const { return command_[0]; }

 private:
  struct Job {
    std::int64_t number = 0;
    Nanos end = 0;   ///< of its time; 0 = none
    Nanos kill = 0;  ///< when KILL is due; 0 = TERM was not sent
    bool timed_out = false;
    bool stopped = false;
  };
  void signal(pid_t pid, int number) const;
  void terminate(pid_t pid, Job& job, Nanos now) const;

  std::vector<std::string> command_;
  Options options_;
  std::map<pid_t, Job> running_;
  std::map<pid_t, Nanos> left_over_;  ///< groups whose first process has ended after a TERM
};

/// "exit 3", "signal 9", "timed out after 5m"; "" if it is well.
std::string reason_of(const Jobs::Ended& ended, Nanos timeout);

/// A few at a time, the rest waits in order; failures are logged and counted. For `watch`, on the
/// pipeline thread.
class CommandRunner {
 public:
  CommandRunner(std::vector<std::string> command, int parallel);

  void add(const Event& event);
  /// Collects what has ended (SIGCHLD) and starts what waits.
  void on_child();
  bool idle() const { return jobs_.running() == 0 && waiting_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::int64_t finished() const { return finished_; }
  std::int64_t failed() const { return failed_; }

 private:
  void start_some();

  Jobs jobs_;
  std::size_t parallel_;
  std::deque<Event> waiting_;
  std::int64_t finished_ = 0;
  std::int64_t failed_ = 0;
};

}  // namespace inotifier
