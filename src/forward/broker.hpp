// What the other side is to the frame: something that takes events and says later what became of
// each. One file implements one kind of broker. Owned by whoever starts the program; all calls are
// made by one thread.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "inotifier/event.hpp"
#include "inotifier/time.hpp"

namespace inotifier::forward {

/// The connection is lost, or cannot be made now: what was sent and not answered is sent again
/// after connect().
struct BrokerError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What became of one event that was sent.
struct Outcome {
  enum class What {
    kDone,      ///< the other side has it, and answers for it
    kRejected,  ///< it will never take this one: kept as failed, with `words`
    kAgain,     ///< not now: a fault of the other side, or of the way there
  };
  std::uint64_t number;  ///< as given to send()
  What what = What::kDone;
  std::string words{};  ///< what the other side said
  Nanos pause = 0;      ///< kAgain: it asked for so much time without anything
};

class Broker {
 public:
  virtual ~Broker() = default;

  /// Makes a new connection; nothing comes back any more of what was sent before. Takes ten seconds
  /// at most. Throws BrokerError if it may succeed later, SetupError if it will not.
  virtual void connect() = 0;
  /// Takes an event. False if there is no room before something comes back. Throws BrokerError.
  virtual bool send(std::uint64_t number, const Event& event) = 0;
  /// There is nothing more to send for now: what was gathered goes out. Throws BrokerError.
  virtual void flush() = 0;
  /// What came back since the last call, in any order; does not wait. Throws BrokerError, and
  /// SetupError if the other side wants nothing more for ever.
  virtual std::vector<Outcome> collect() = 0;
  /// Can be read when collect() has something to do; the same for the life of the object.
  virtual int fd() const = 0;
};

}  // namespace inotifier::forward
