// What printing and working consumers share: the consumer, what it says to people, signals and
// waiting. Owned by run_consume(), on its thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "cli/arguments.hpp"
#include "cli/roots.hpp"
#include "inotifier/client.hpp"

namespace inotifier {

inline constexpr std::chrono::milliseconds kLongestWait{60'000};

struct ConsumeArguments {
  Connection connection;
  std::string name;
  std::vector<std::string> types;
  std::vector<std::string> watches;
  std::vector<std::string> command;  ///< after "--"; empty = print
  std::string start;                 ///< of a new consumer: oldest, now, state
  bool create = true;
  bool until_empty = false;  ///< stop when there is nothing more
  int parallel = 1;
  int max_tries = 10;
  Nanos retry_delay = kSecond;  ///< before the second try; doubles
  Nanos job_timeout = 0;        ///< 0 = none
  Nanos lease = 60 * kSecond;
  std::string missing = "skip";  ///< or "run": files that are gone or have a later version
  OutputOptions output;
};

/// Monotonic.
Nanos mono();
/// From `now` on; at most kLongestWait.
std::chrono::milliseconds until(Nanos time, Nanos now);

/// TERM, INT, HUP and CHLD as something to poll. The threads of the client inherit the mask.
class Signals {
 public:
  Signals();
  int fd() const { return fd_.get(); }
  /// How often we were asked to stop since the last call.
  int stops();

 private:
  UniqueFd fd_;
};

class Session {
 public:
  /// Connects; throws as Consumer does. The arguments must outlive it.
  explicit Session(const ConsumeArguments& arguments);

  /// Another client has the consumer, and we are not to wait for it.
  bool standby_ends() const;

  const Roots roots;
  Signals signals;  // before the consumer: the threads of the consumer must not take them
  std::optional<Consumer> consumer;
  std::function<void()> on_reset;

 private:
  void tell(Consumer::State state);

  const ConsumeArguments& arguments_;
  std::optional<Consumer::State> last_;
};

}  // namespace inotifier
