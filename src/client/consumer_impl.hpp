// What a Consumer is made of. Private to the client library: consumer.cpp (what the caller does,
// and waiting), consumer_requests.cpp, consumer_replies.cpp. Requests are under way while the
// caller works: a table of those that have no reply yet, and what each reply means. Events are in
// `window`.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/link.hpp"
#include "client/window.hpp"
#include "inotifier/client.hpp"

namespace inotifier {

using std::chrono::milliseconds;

/// "busy", and a stand-by that does not wait.
inline constexpr milliseconds kPause{1000};
/// How long an ack may be put off while events are worked on.
inline constexpr milliseconds kAckInterval{1000};
/// Between new sockets, when one after the other is cut off.
inline constexpr milliseconds kFirstBackoff{100};
inline constexpr milliseconds kLongestBackoff{1000};

struct Consumer::Impl {
  enum class Kind { kFetch, kRead, kFilters, kAck, kTouch, kFail, kRelease };

  struct Request {
    std::int64_t id;
    Kind kind;
    std::string body;
    milliseconds patience;
    Clock::time_point deadline;
    std::uint64_t position;  // kAck: what is acked; kFail: of the event
  };

  struct Failure {
    std::uint64_t position;
    std::string reason;
    std::int64_t tries;
  };

  explicit Impl(Options given);

  // Requests

  bool under_way(Kind kind) const;
  void send(Kind kind, std::string_view op, Value::Map arguments, milliseconds wait = {},
            std::uint64_t position = 0);
  Value::Map as_owner() const { return {{"consumer", options.name}, {"client", client}}; }
  void send_fetch(milliseconds wait);
  void send_read();
  /// Asks for more events if that makes sense now.
  void ask();
  /// What is due to be told, if there is anybody to tell it to.
  bool may_tell() const;
  bool may_fail() const;
  bool may_ack() { return window.ackable() > acked && !under_way(Kind::kAck); }
  bool may_touch() const { return !under_way(Kind::kTouch) && !under_way(Kind::kFetch); }
  Clock::time_point next_ack() const { return std::max(ack_at, last_ack + kAckInterval); }
  Clock::time_point next_touch() const { return last_contact + options.lease / 3; }
  /// Failures, acks, the lease.
  void tell(bool at_once);

  // Replies

  void receive();
  void on_reply(const Request& request, Reply reply);
  /// A reply that says nothing of who owns the consumer.
  void connected_again();
  void on_fetch(const Request& request, Reply reply);
  void on_read(Reply reply);
  void on_filters(const Value& head);
  void on_error(const Request& request, const Reply& reply, const RequestError& error);
  void tell_lost(const Value& head);
  /// Forgets what was given out: it is not ours any more, or will come again.
  void reset(const Reset& why);
  void enter(State next);

  // Turning

  /// Replies, lost connections, late replies.
  void look();
  /// When there is something to do if nothing comes.
  Clock::time_point next_turn(Clock::time_point deadline);
  /// One turn of waiting; false if the wait is over.
  bool wait(Clock::time_point deadline);

  Options options;
  milliseconds longest_wait{};
  Link link;
  const std::string client;
  std::string stream;
  State current = State::kDisconnected;
  State before = State::kStandby;  // the connection was lost
  bool started = false;            // on_state was called
  bool known = false;              // the consumer exists
  bool filters_known = false;      // options.types and .watches are those stored with the consumer
  std::string last_lost;

  std::vector<Request> requests;
  std::deque<Failure> failures;
  std::int64_t last_id = 0;
  Clock::time_point last_contact = Clock::now();
  Clock::time_point last_ack{};
  Clock::time_point tell_at{};
  Clock::time_point ask_at{};
  Clock::time_point ack_at{};
  Clock::time_point fail_at{};
  Clock::time_point renew_at{};
  Clock::time_point last_renewal{};
  milliseconds backoff = kFirstBackoff;
  bool renewal_due = false;

  Window window;
  std::uint64_t acked = 0;  // told to the daemon and confirmed
  std::uint64_t resets = 0;
  bool useless = false;         // the last fetch led no further
  bool empty = false;           // the last fetch had nothing
  bool looked = false;          // a fetch was asked and answered during this call
  std::int64_t call_began = 0;  // last_id then: what was asked before it says nothing of now
  std::uint64_t malformed = 0;
};

}  // namespace inotifier
