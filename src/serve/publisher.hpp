// The PUB socket: two frames a message, and the heartbeat. Owned by the daemon; pipeline thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace zmq {
class context_t;
}  // namespace zmq

namespace inotifier {

class Security;

class Publisher {
 public:
  /// Binds, as endpoint/binding.hpp says. Context and security (nullptr: no keys) must outlive
  /// this.
  Publisher(zmq::context_t& context, const std::vector<std::string>& endpoints, int high_water_mark,
            const Security* security);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// Never blocks; a subscriber beyond its high-water mark misses the message.
  void publish(std::string_view topic, std::string_view body);

  /// After every turn: cuts off subscribers that ask for too much (see Subscriptions). It is an
  /// XPUB socket for this alone; to subscribers it is PUB.
  void look_at_subscriptions();
  /// How many were.
  std::uint64_t cut_off() const;

  /// What was bound, with the port that "tcp://127.0.0.1:*" became.
  const std::vector<std::string>& endpoints() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
