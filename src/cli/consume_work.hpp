// consume with a command: runs it for each event, some at a time, tries again what failed, and acks
// what has exited with 0. Owned by run_consume(), on its thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "cli/arguments.hpp"
#include "cli/command.hpp"
#include "cli/consume_session.hpp"
#include "cli/questions.hpp"
#include "cli/retry_schedule.hpp"
#include "inotifier/client.hpp"

namespace inotifier {

class Working {
 public:
  /// Connects; throws as Consumer does. The arguments must outlive it.
  explicit Working(const ConsumeArguments& arguments);
  /// Until a signal, or what the arguments say; the exit code.
  int run();

 private:
  struct Work {
    Event event;
    std::int64_t tries = 0;
    std::int64_t holds = 0;  ///< how often its root was not there
  };

  int work();
  bool enough() const { return arguments_.output.count > 0 && taken_ >= arguments_.output.count; }
  bool has_room() const { return jobs_.running() < static_cast<std::size_t>(arguments_.parallel); }
  void handle_signals();
  void stop();
  void drain_without_daemon();
  /// Until something is due that no descriptor tells.
  std::chrono::milliseconds pause(Nanos now) const;
  void start_waiting(Nanos now);
  void begin(Work work, Nanos now);
  void finish(const Jobs::Ended& ended, Nanos now);
  enum class Presence { kThere, kGone, kHeld };
  /// Whether the event's file is there, or a later version; why if that cannot be told.
  Presence look_for(const Event& event, Nanos now, std::string& why);
  /// Not acked, and looked at again, until the root of its watch is there.
  void hold(Work work, const std::string& doubt, Nanos now);
  void failed_once(Work work, const std::string& reason, Nanos now);

  const ConsumeArguments& arguments_;
  Jobs jobs_;
  Session session_;
  std::map<std::int64_t, Work> running_;  // by the job's number
  RetrySchedule<Work> waiting_;           // for another try
  RetrySchedule<Work> held_{kSecond};     // for their root
  WatchedRoots watched_roots_;
  Questions questions_;
  std::string last_doubt_;
  std::int64_t last_number_ = 0;
  std::int64_t taken_ = 0;
  std::int64_t done_ = 0;
  std::int64_t failed_ = 0;
  std::int64_t skipped_ = 0;
  Nanos last_event_ = 0;
  bool stopping_ = false;
  Nanos stop_until_ = 0;
};

}  // namespace inotifier
