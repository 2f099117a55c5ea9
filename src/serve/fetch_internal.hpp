// What the three files of the FetchService share; nobody else includes it.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "serve/fetch_service.hpp"
#include "serve/request.hpp"

namespace inotifier {

inline constexpr int kFetchProtocol = 1;
inline constexpr std::string_view kBusy =
    "the journal cannot be written just now: try again in a second";

[[noreturn]] inline void fail_with(std::string_view code, std::string message) {
  throw Refusal{code, std::move(message)};
}

inline double seconds(Nanos nanos) { return static_cast<double>(nanos) / 1e9; }

struct FetchService::Request {
  Peer peer;
  Value id;  ///< `request`
  Value body;
  bool may_change;
  const Now& now;
};

/// A fetch that is not answered yet.
struct FetchService::Poll {
  enum class State {
    kStandby,  ///< another client owns the consumer
    kReading,  ///< there may be something for it in the log
    kWaiting,  ///< there is nothing up to the end of the log
  };
  Peer peer;
  Value request;
  StoredConsumer* consumer = nullptr;  ///< null: reading without one
  std::string client;
  TopicFilter own_filter;  ///< without a consumer
  State state = State::kReading;
  std::uint64_t from = 0;    ///< without a consumer: what was asked for
  std::uint64_t at = 0;      ///< nothing for it is before and at this position
  std::uint64_t number = 0;  ///< of the last entry that was passed over
  std::size_t limit = 0;
  Nanos lease = 0;
  Nanos asked = 0;     ///< monotonic: until when it wants to wait
  Nanos deadline = 0;  ///< the same, but later if there surely is something to come
  bool created = false;
  bool unwritten = false;  ///< what came with it waits for flush()

  TopicFilter& filter() { return consumer != nullptr ? consumer->filter : own_filter; }
  std::uint64_t begin() const { return consumer != nullptr ? consumer->kept.position : from; }
};

struct FetchService::Outgoing {
  Peer peer;
  Value request;
  std::string body;
  bool needs_write = false;
};

}  // namespace inotifier
