// The events between the consumer and the broker: which may be sent now, which were sent and have
// no answer, which are to be tried again and when. Owned by the Forwarder, on its thread; no I/O of
// its own, and time is given.
//
// Order is kept per path: an event is sent only when the one before it of the same path is settled,
// also where a broker answers in another order or asks for another try. Events of different paths
// overtake one another.
//
// The other side is unwell after an answer kAgain, until it takes or rejects something: nothing is
// sent during a pause that doubles, and then one event at a time. One event that fails for ever
// holds up only its own path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "forward/backoff.hpp"
#include "forward/broker.hpp"

namespace inotifier::forward {

class Sendings {
 public:
  struct Limits {
    std::size_t in_flight = 4096;  ///< sent and not answered
    std::int64_t max_tries = 0;    ///< then an event counts as rejected; 0 = never
  };
  /// What is finished: taken, or not to be tried again.
  struct Settled {
    Event event;
    bool rejected = false;
    std::string words;
    std::int64_t tries = 0;
  };

  Sendings(Limits limits, std::uint32_t seed) : limits_(limits), backoff_(seed) {}

  void add(Event event);
  /// Sends what may be sent now. Throws BrokerError; call lost() then.
  void send(Broker& broker, Nanos now);
  /// Nothing for an event that is to be tried again, and for an answer that nobody waits for.
  std::optional<Settled> settle(const Outcome& outcome, Nanos now);
  /// The connection is lost: what has no answer is sent again, in the old order.
  void lost();
  /// Forgets everything; answers to what was sent are ignored.
  void clear();

  std::size_t size() const { return all_.size(); }
  std::size_t in_flight() const { return in_flight_; }
  /// What the other side said when it became unwell; "" while it is well.
  const std::string& complaint() const { return complaint_; }
  /// When send() has something to do that no answer brings about.
  std::optional<Nanos> next_due() const;
  /// The oldest one that is not settled; nullptr if there is none.
  const Event* oldest() const { return all_.empty() ? nullptr : &all_.begin()->second.event; }

 private:
  struct Sending {
    Event event;
    std::int64_t tries = 0;
    bool in_flight = false;
  };

  static std::string path_key(const Event& event) { return event.source + '\n' + event.subject; }
  void became_unwell(const Outcome& outcome, Nanos now);

  const Limits limits_;
  Backoff backoff_;
  std::map<std::uint64_t, Sending> all_;  // by number: in the order of their arrival
  std::unordered_map<std::string, std::deque<std::uint64_t>> paths_;  // the first may be sent
  std::set<std::uint64_t> ready_;
  std::multimap<Nanos, std::uint64_t> delayed_;
  std::uint64_t last_number_ = 0;
  std::size_t in_flight_ = 0;
  std::string complaint_;
  std::int64_t rounds_ = 0;  // of pauses, since it was well
  Nanos paused_until_ = 0;
};

}  // namespace inotifier::forward
