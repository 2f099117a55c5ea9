// Receive events from a running daemon: live (Subscriber), or durably (Consumer). A client object
// belongs to one thread, and to the process that made it: in a forked child its functions throw
// std::logic_error, and its destructor leaves the parent's connection alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/event.hpp"

namespace inotifier {

/// Why nothing can be received: the message names the endpoint, what was found there and the
/// remedy.
struct ConnectionError : std::runtime_error {
  enum class Reason {
    kNothingListens,
    kHandshakeRefused,  ///< a daemon that wants (other) keys, or no access to the socket
    kNoInotifier,       ///< something listens, but no daemon of ours
    kBadEndpoint,
    kBadKey,    ///< a key file that cannot be read
    kNoAnswer,  ///< Requester: connected, but the answer did not come in time
  };
  ConnectionError(Reason why, const std::string& what) : std::runtime_error(what), reason(why) {}
  Reason reason;
};

/// What the daemon refused; the codes are those of clients/README.md.
struct RequestError : std::runtime_error {
  RequestError(std::string error_code, const std::string& message)
      : std::runtime_error(message), code(std::move(error_code)) {}
  std::string code;  ///< "bad_request", "unknown_consumer", "not_allowed", ...
};

/// The endpoint a client uses when none is given: INOTIFIER_PUBLISH_ENDPOINT (of a list the first
/// ipc socket that is there, else the first), else the socket `publish` that is there in
/// $XDG_RUNTIME_DIR/inotifier/ (without that variable /run/user/UID/inotifier/), or in
/// /tmp/inotifier-UID/ if the directory is ours and others cannot write to it, else
/// ipc:///run/inotifier/publish.
std::string default_publish_endpoint();
/// The same for the fetch service: INOTIFIER_FETCH_ENDPOINT, the socket `fetch`.
std::string default_fetch_endpoint();

/// Where the daemon is, and the keys if it wants some.
struct Connection {
  std::string endpoint;  ///< "" = default_publish_endpoint() or default_fetch_endpoint()
  /// Files as `inotifier keygen` writes them: the daemon's public key, and our own secret one. "" =
  /// INOTIFIER_SERVER_KEY and INOTIFIER_KEY, else no keys.
  std::string server_key;
  std::string key;
  /// How long the constructor waits for a daemon that has not started yet. Afterwards a lost
  /// connection is renewed for ever, unless the daemon comes back and will have us no more.
  std::chrono::milliseconds connect_timeout{2500};
};

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
  struct Options : Connection {
    std::vector<std::string> types;            ///< empty = all types
    std::vector<std::string> watches;          ///< empty = all watches
    std::function<void(const Gap&)> on_gap{};  ///< called inside next()
  };

  /// Connects and waits until a publisher answered. Throws ConnectionError, and RequestError
  /// "bad_request" for a type that is none: it would be waited for in vain. Events count from a
  /// moment after that: a subscription takes effect when the daemon has read it.
  explicit Subscriber(Options options);
  ~Subscriber();
  Subscriber(Subscriber&&) noexcept;
  Subscriber& operator=(Subscriber&&) noexcept;

  /// The next event; nothing if `timeout` ran out first (negative: wait for ever) or if a signal
  /// came. Messages that are no events are counted and passed over. Throws ConnectionError, now and
  /// in every later call, if the daemon was started anew and will have us no more: our key was
  /// taken away, or it wants keys, or none.
  std::optional<Event> next(std::chrono::milliseconds timeout);

  /// True once anything arrived, a heartbeat at least: the subscription is in effect, and what is
  /// published from now on arrives here or shows as a gap.
  bool live() const;

  std::uint64_t malformed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One request at a time to the fetch service: what `inotifier status`, `seek` and the like do.
class Requester {
 public:
  /// Connects and says hello. Throws ConnectionError.
  explicit Requester(Connection connection);
  ~Requester();
  Requester(Requester&&) noexcept;
  Requester& operator=(Requester&&) noexcept;

  /// Sends `arguments` with `op`; the reply's map (without `events`). Throws RequestError for what
  /// the daemon refuses
  /// ("busy" is retried until `timeout`) and ConnectionError(kNoAnswer): whether the request was
  /// carried out is not known then. Another ConnectionError if the daemon will have us no more.
  Value request(std::string_view op, const Value::Map& arguments = {},
                std::chrono::milliseconds timeout = std::chrono::seconds(10));

  /// Changes what a consumer wants: an absent list stays as it is stored, an empty one means all.
  /// Holds for everything that is not acked. Errors as in request().
  void update(const std::string& consumer, const std::optional<std::vector<std::string>>& types,
              const std::optional<std::vector<std::string>>& watches = std::nullopt);

  /// Some events of a "fetch" without a consumer.
  struct Page {
    std::vector<Event> events;
    std::string stream;
    std::string cursor;       ///< where to go on: "after"
    std::int64_t behind = 0;  ///< events after the cursor
    std::uint64_t malformed = 0;
  };
  /// `arguments` has "after" and "stream", or "since"; errors as in request().
  Page read(const Value::Map& arguments,
            std::chrono::milliseconds timeout = std::chrono::seconds(10));

  /// What the daemon said of itself: version, daemon, time, first, last, access, stream.
  const Value& hello() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Durable: a named position in the daemon's journal. Every event comes at least once, with the
/// same id each time, until it is said to be done; whatever is killed or restarted in between.
///
///     inotifier::Consumer consumer({.name = "thumbnails", .types = {"file.completed"}});
///     for (;;) {
///       const auto event = consumer.next(std::chrono::seconds(10));
///       if (!event) continue;
///       work(event->path());
///       consumer.done(*event);
///     }
///
/// Acknowledging: done() finishes one event, in any order; what is told to the daemon is the
/// unbroken prefix of finished ones. ack() finishes everything up to an event, ack_all() everything
/// given out so far. The daemon hears of it with the next fetch, within a second inside any call,
/// and at the end. What was not acked comes again after a crash, to the next owner.
///
/// Several processes may run with one name: one works, the others stand by (see State) until it
/// releases the consumer, or has been silent for the lease.
class Consumer {
 public:
  enum class State {
    kOwner,         ///< events are for us
    kStandby,       ///< another client has the consumer; next() waits for our turn
    kDisconnected,  ///< the connection is lost, and looked for again
  };

  /// Why the events that were given out are not ours any more: what was not acked comes again, to
  /// us or to another one.
  struct Reset {
    std::string code;  ///< "not_owner", "stream_changed", "bad_ack"
    std::string message;
  };

  /// Events that were no longer kept when we came for them.
  struct Lost {
    std::string first;
    std::string last;
  };

  struct Options : Connection {
    std::string name;                  ///< of the consumer
    std::vector<std::string> types;    ///< empty = all, or as stored with the consumer
    std::vector<std::string> watches;  ///< the same
    int limit = 1024;                  ///< events a fetch, at most 4096
    /// How long the daemon holds a fetch back when there is nothing. With 0 next() does not wait
    /// either: see caught_up().
    std::chrono::milliseconds wait{30'000};
    std::chrono::seconds lease{60};
    std::string start{};  ///< of a new consumer: "oldest" (also ""), "now", "state"
    bool create = true;   ///< false: RequestError "unknown_consumer" if there is none
    /// How many events may be out beyond one that is not done. Those that are done come again after
    /// a crash.
    std::size_t window = 10'000;
    /// A descriptor that ends any wait as soon as it can be read, such as a signalfd; -1 = none.
    int wake_fd = -1;
    // Called inside the other functions, not in the destructor; must not call the consumer.
    std::function<void(State)> on_state{};
    std::function<void(const Lost&)> on_lost{};
    std::function<void(const Reset&)> on_reset{};
  };

  /// Connects and says hello. Throws ConnectionError, and RequestError as next() does.
  explicit Consumer(Options options);
  /// Acks what is done and releases the consumer, waiting for that at most a second.
  ~Consumer();
  Consumer(Consumer&&) noexcept;
  Consumer& operator=(Consumer&&) noexcept;

  /// The next event; nothing if `timeout` ran out first (negative: wait for ever), if a signal
  /// came, if wake_fd can be read, or if the window is full for so long. Throws RequestError for
  /// what the daemon will not do: "bad_request" (other types than those stored: see
  /// Requester::update(); or types that are none), "unknown_consumer"
  /// (it was forgotten meanwhile), "not_allowed". Throws ConnectionError, as keep_alive() and
  /// flush() do, if the daemon was started anew and will have us no more, as when our key was taken
  /// away; who calls again asks again.
  std::optional<Event> next(std::chrono::milliseconds timeout);

  /// Does what next() does besides (acks, the lease, reconnecting) without taking an event. Call it
  /// during work that is longer than a third of the lease. Returns when `timeout` has run out or
  /// as next() does; 0 does what is due and returns at once.
  void keep_alive(std::chrono::milliseconds timeout = std::chrono::milliseconds(0));

  /// Events that were fetched and not yet given out: next() returns these without asking anybody.
  std::size_t in_hand() const;
  /// True if at the last look there was nothing more, and all that was given out is done.
  bool caught_up() const;
  State state() const;

  void done(const Event& event);
  void ack(const Event& event);
  void ack_all();

  /// `event` could not be processed, after so many tries: the daemon keeps it with the reason, to
  /// be listed and retried, and passes over it. It counts as done.
  void fail(const Event& event, std::string reason, std::int64_t tries);

  /// Tells the daemon now, and waits until it has heard; false if it did not within `timeout`.
  bool flush(std::chrono::milliseconds timeout);

  /// What was in replies, but was no event.
  std::uint64_t malformed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
