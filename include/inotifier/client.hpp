// Receive events from a running daemon. A client object belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "inotifier/event.hpp"

namespace inotifier {

/// Why nothing can be received: the message names the endpoint, what was found there and the
/// remedy.
struct ConnectionError : std::runtime_error {
  enum class Reason {
    kNothingListens,
    kHandshakeRefused,  ///< a daemon that wants keys, or no access to the socket
    kNoInotifier,       ///< something listens, but no publisher of ours
    kBadEndpoint,
  };
  ConnectionError(Reason why, const std::string& what) : std::runtime_error(what), reason(why) {}
  Reason reason;
};

/// The endpoint a client uses when none is given: INOTIFIER_PUBLISH_ENDPOINT, else the socket
/// `publish` in $XDG_RUNTIME_DIR/inotifier/ if it is there, else ipc:///run/inotifier/publish.
std::string default_publish_endpoint();

/// Events that were published but not received here: the subscriber was not connected, or too slow.
struct Gap {
  std::string topic;  ///< "file.completed/incoming/"
  std::string after;  ///< position of the last event of that topic received; "0" for none
  std::string until;  ///< position of the last event of that topic known to be missing
};

/// Listens live (PUB/SUB). What is published while nobody is connected is not kept for it; a loss
/// shows as a Gap.
class Subscriber {
 public:
  struct Options {
    std::string endpoint;              ///< "" = default_publish_endpoint()
    std::vector<std::string> types;    ///< empty = all types
    std::vector<std::string> watches;  ///< empty = all watches
    /// How long the constructor waits for a daemon that has not started yet. Afterwards a lost
    /// connection is renewed silently; what was missed shows as a Gap.
    std::chrono::milliseconds connect_timeout{2500};
    std::function<void(const Gap&)> on_gap;  ///< called inside next()
  };

  /// Connects and waits until a publisher answered. Throws ConnectionError. Events count from a
  /// moment after that: a subscription takes effect when the daemon has read it.
  explicit Subscriber(Options options);
  ~Subscriber();
  Subscriber(Subscriber&&) noexcept;
  Subscriber& operator=(Subscriber&&) noexcept;

  /// The next event; nothing if `timeout` ran out first (negative: wait for ever) or if a signal
  /// came. Messages that are no events are counted and passed over.
  std::optional<Event> next(std::chrono::milliseconds timeout);

  std::uint64_t malformed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
