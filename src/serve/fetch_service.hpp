// Durable delivery: answers requests, waits for events on behalf of those who poll, keeps who owns
// which consumer (clients/README.md, "Durable: fetch"). Owned by the daemon; pipeline thread,
// between turns.
//
// It knows neither sockets nor clocks: requests and the time are handed in, replies handed out.
// What requests change is written in one transaction, and only then are they answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/event.hpp"
#include "inotifier/time.hpp"
#include "journal/consumers.hpp"
#include "journal/journal.hpp"
#include "journal/snapshot.hpp"

namespace inotifier {

class Arguments;
class WireWriter;

class FetchService {
 public:
  /// The frames before the body, repeated in the reply; the first one names the peer.
  using Peer = std::vector<std::string>;
  /// Must not block. `body` is valid during the call.
  using Send = std::function<void(const Peer& peer, std::string_view body)>;
  /// Adds what the daemon knows besides to the reply of `status`.
  using FillStatus = std::function<void(Value::Map& status)>;

  /// `journal` must have a path. Throws SetupError.
  FetchService(Journal& journal, std::string version, const Now& now, Send send);
  ~FetchService();
  FetchService(const FetchService&) = delete;
  FetchService& operator=(const FetchService&) = delete;

  void fill_status_with(FillStatus fill) { fill_status_ = std::move(fill); }

  /// One request. `may_change`: the sender has all rights, not only that to read. Throws SetupError
  /// if the journal is broken, as after_turn() does.
  void on_request(Peer peer, std::string_view body, bool may_change, const Now& now);
  /// Whether another request may be handed in before the next after_turn(); those that wait should
  /// not hold up the pipeline.
  bool has_room() const { return work_ < kWorkPerTurn; }
  /// After every turn of the pipeline and after its requests: writes what they changed, answers
  /// what can be answered.
  void after_turn(const Now& now);
  /// Monotonic time when after_turn() is wanted again at the latest.
  std::optional<Nanos> deadline() const { return deadline_; }

  std::size_t consumers() const { return consumers_.size(); }
  std::size_t polls() const { return polls_.size(); }
  /// Messages that could not even be answered.
  std::uint64_t malformed() const { return malformed_; }

  // Limits; clients/README.md tells them.
  static constexpr std::size_t kMaxFrames = 16;        ///< before the body
  static constexpr std::size_t kMaxFrameBytes = 4096;  ///< of those together
  static constexpr std::size_t kMaxBody = 64U << 10U;  ///< of a request
  static constexpr std::size_t kMaxReply = 8U << 20U;  ///< events of one reply, in bytes
  static constexpr std::size_t kMaxPolls = 1000;       ///< that wait
  static constexpr std::size_t kMaxConsumers = 10'000;
  static constexpr std::size_t kMaxFailures = 100'000;  ///< of one consumer

 private:
  // About 5 ms: one is what a small request costs.
  static constexpr std::size_t kWorkPerTurn = 64;

  struct Request;
  struct Poll;
  struct Outgoing;
  struct Op;
  using Polls = std::list<Poll>;

  static const Op* find_op(std::string_view name);
  void hello(Request& request);
  void fetch(Request& request);
  void fetch_for(Request& request);
  void read_from(Request& request);
  void ack(Request& request);
  void touch(Request& request);
  void release(Request& request);
  void update(Request& request);
  void fail(Request& request);
  void failed(Request& request);
  void retry(Request& request);
  void seek(Request& request);
  void list(Request& request);
  void forget(Request& request);
  void status(Request& request);

  // What the ops have in common. Those that check throw Refusal.
  void check_stream(const Arguments& arguments, bool required) const;
  void check_writable() const;
  void check_polls(Nanos wait) const;
  StoredConsumer& consumer_of(const Arguments& arguments);
  static void check_owner(const StoredConsumer& consumer, std::string_view client);
  static void check_delivered(const StoredConsumer& consumer, std::uint64_t position);
  void move_to(StoredConsumer& consumer, std::uint64_t position);
  void note_seen(StoredConsumer& consumer, const Now& now);
  void set_lease(StoredConsumer& consumer, Nanos lease, Nanos mono);
  static bool is_free(const StoredConsumer& consumer, std::string_view client, Nanos mono);
  void take_over(StoredConsumer& consumer, std::string_view client);
  StoredConsumer& make_consumer(const Arguments& arguments, const std::string& name,
                                EventFilter filter, std::optional<std::uint64_t> acked,
                                const Now& now);
  Value lost(TopicFilter& filter, std::uint64_t position) const;

  // Replies.
  void answer(const Request& request, Value::Map fields, bool needs_write = false);
  void refuse(const Peer& peer, const Value& request, std::string_view code,
              std::string_view message);
  void put(const Peer& peer, const Value& request, std::string body, bool needs_write);
  std::string spare();
  /// False: there is no room; nothing of what was asked since the last one has happened, and those
  /// who asked are told so.
  bool flush();
  void send();

  // Polls.
  void add_poll(Poll poll);
  Polls::iterator poll_of(const StoredConsumer& consumer, std::string_view client);
  void drop(Polls::iterator poll);
  void drop_polls_of(const StoredConsumer& consumer, std::string_view code,
                     std::string_view message);
  void wake(const StoredConsumer& consumer);
  void look_at_journal();
  void look_at_time(const Now& now);
  void serve(const Now& now);
  bool read_slice(Poll& poll, const Now& now);
  void answer_empty(Poll& poll, const Now& now);
  void answer_standby(Poll& poll, const Now& now);
  void begin_reply(WireWriter& writer, const Value& request, std::size_t& fields) const;
  void end_reply(WireWriter& writer, Poll& poll, bool at_end, std::size_t& fields, const Now& now);
  void take_snapshots(const Now& now);
  void find_deadline(const Now& now);

  Journal& journal_;
  std::string version_;
  Nanos started_;
  Send send_;
  FillStatus fill_status_;
  Consumers consumers_;
  Snapshot snapshot_;
  Polls polls_;
  std::vector<Outgoing> outgoing_;
  std::vector<std::string> spares_;     ///< buffers, kept for their capacity
  std::vector<std::string> snapshots_;  ///< consumers that are being given the state
  std::vector<std::uint64_t> last_;     ///< of each topic, when last looked at
  std::vector<std::uint32_t> fresh_;    ///< topics with new events
  std::uint64_t count_ = 0;             ///< of the journal, when last looked at
  std::size_t work_ = 0;
  std::size_t entries_ = 0;  ///< read in this turn
  std::size_t reading_ = 0;  ///< polls to be served
  std::uint64_t malformed_ = 0;
  bool no_room_ = false;  ///< it was told
  bool changed_ = true;   ///< polls or leases, since the deadline was found
  std::optional<Nanos> deadline_;
  Nanos next_snapshot_ = 0;
};

}  // namespace inotifier
