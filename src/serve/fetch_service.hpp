// Durable delivery: takes requests, hands out replies (clients/README.md, "Durable: fetch"). Owned
// by the daemon; pipeline thread, between turns.
//
// It knows neither sockets nor clocks. What requests change is written in one transaction, and only
// then are they answered. The operations are in ops_*.cpp, fetches without an answer in long_polls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "inotifier/event.hpp"
#include "inotifier/time.hpp"
#include "journal/journal.hpp"
#include "serve/replies.hpp"

namespace inotifier {

struct FetchContext;
struct Request;

class FetchService {
 public:
  /// Adds what the daemon knows besides to the reply of `status`.
  using FillStatus = std::function<void(Value::Map& status)>;

  /// `journal` must have a path. Throws SetupError.
  FetchService(Journal& journal, std::string version, const Now& now, Replies::Send send);
  ~FetchService();
  FetchService(const FetchService&) = delete;
  FetchService& operator=(const FetchService&) = delete;

  void fill_status_with(FillStatus fill);
  /// What the watches know of an absolute path.
  using Explain = std::function<Value::Array(const std::string& path, const Now& now)>;
  void explain_with(Explain explain);

  /// One request. `may_change`: the sender has all rights, not only that to read. Throws SetupError
  /// if the journal is broken, as after_turn() does.
  void on_request(Route route, std::string_view body, bool may_change, const Now& now);
  /// Whether another request may be handed in before the next after_turn(): requests must not hold
  /// up the pipeline.
  bool has_room() const;
  /// How many bytes of events a reply may hold from now on.
  void limit_replies(std::size_t bytes);
  /// After every turn of the pipeline and after its requests: writes what they changed, answers
  /// what can be answered.
  void after_turn(const Now& now);
  /// Monotonic time when after_turn() is wanted again at the latest.
  std::optional<Nanos> deadline() const { return deadline_; }

  std::size_t consumers() const;
  std::size_t polls() const;
  /// Messages that could not even be answered.
  std::uint64_t malformed() const;

 private:
  void run(Request& request, std::string_view body);
  void forget_expired(const Now& now);

  std::unique_ptr<FetchContext> context_;
  std::optional<Nanos> deadline_;
  Nanos next_expiry_ = 0;  ///< monotonic: when expired consumers are looked for again
};

}  // namespace inotifier
