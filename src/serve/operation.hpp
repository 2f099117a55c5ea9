// What an operation of the fetch protocol is, and what operations work on. The operations are in
// ops_*.cpp: each is a function there, and a row of the table at the end of its file; nothing else
// names it. Owned by FetchService; pipeline thread, between turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "journal/consumers.hpp"
#include "journal/journal.hpp"
#include "serve/limits.hpp"
#include "serve/long_polls.hpp"
#include "serve/ownership.hpp"
#include "serve/replies.hpp"
#include "serve/request.hpp"
#include "serve/state_feed.hpp"

namespace inotifier {

/// The parts of the fetch service.
struct FetchContext {
  FetchContext(Journal& its_journal, std::string its_version, const Now& now, Replies::Send send);

  /// Writes what requests have changed. False: there is no room; nothing of what was asked since
  /// the last time has happened, and the askers are told so.
  bool flush();

  // What operations have in common; those that check throw Refusal.
  void check_stream(const Arguments& arguments, bool required) const;
  void check_writable() const;
  StoredConsumer& consumer_of(const Arguments& arguments);
  /// The same for an operation with a transaction of its own: writes first what is waiting.
  StoredConsumer& flushed_consumer_of(const Arguments& arguments);
  static void check_delivered(const StoredConsumer& consumer, std::uint64_t position);

  Journal& journal;
  std::string version;
  Nanos started;
  Consumers consumers;
  Ownership ownership{journal, consumers};
  Replies replies;
  LongPolls polls{journal, ownership, replies};
  StateFeed feed{journal, consumers};
  std::function<void(Value::Map& status)> fill_status;
  std::function<Value::Array(const std::string& path, const Now& now)> explain;
  std::size_t work = 0;         ///< of this turn; a small request is 1
  std::uint64_t malformed = 0;  ///< messages that could not even be answered
  bool no_room = false;         ///< it was logged
};

struct Request {
  ReplyTo to;
  Value body;
  bool may_change;  ///< the sender has all rights, not only that to read
  const Now& now;
};

struct Operation {
  std::string_view name;
  bool changes;  ///< needs all rights
  void (*run)(FetchContext& context, Request& request);
};

std::span<const Operation> daemon_operations();
std::span<const Operation> fetch_operations();
std::span<const Operation> consumer_operations();
std::span<const Operation> failure_operations();

/// nullptr: there is no such operation.
const Operation* find_operation(std::string_view name);

}  // namespace inotifier
