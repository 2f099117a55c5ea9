// Replies of one turn of the fetch service: encoded here, held back until what they confirm is
// written, then handed to the socket. Owned by FetchService; pipeline thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/event.hpp"
#include "journal/journal.hpp"
#include "serve/limits.hpp"
#include "wire/codec.hpp"

namespace inotifier {

/// The frames before the body, repeated in the reply; the first one names the peer.
using Route = std::vector<std::string>;

/// Where a reply goes, and the `request` it repeats (nil: none).
struct ReplyTo {
  Route route;
  Value request;
};

inline constexpr std::string_view kNoMemory =
    "there is no memory for the reply just now; ask again, for less";
inline constexpr std::string_view kBusy =
    "the journal cannot be written just now: try again in a second";

/// A reply that is written field by field, because its events are copied as they lie in the
/// journal.
class ReplyWriter {
 public:
  /// Appends to `body`, which must outlive this.
  ReplyWriter(std::string& body, std::string_view stream, const Value& request);
  /// Writes the key; the caller writes exactly one value.
  WireWriter& field(std::string_view key);
  void finish() { writer_.close_map(map_, fields_); }

 private:
  WireWriter writer_;
  std::size_t map_;
  std::size_t fields_ = 0;
};

class Replies {
 public:
  /// Must not block. `body` is valid during the call.
  using Send = std::function<void(const Route& route, std::string_view body)>;

  Replies(const Journal& journal, Send send) : journal_(journal), send_(std::move(send)) {}

  /// `needs_write`: the reply confirms something that is not written yet.
  void answer(const ReplyTo& to, Value::Map fields, bool needs_write = false);
  void refuse(const ReplyTo& to, std::string_view code, std::string_view message);
  /// A reply made with a ReplyWriter.
  void put(const ReplyTo& to, std::string body, bool needs_write);

  /// How many bytes of events a reply may hold.
  std::size_t limit() const { return limit_; }
  void set_limit(std::size_t bytes) { limit_ = bytes; }

  /// An empty buffer, with the capacity of an earlier reply where possible.
  std::string buffer();
  void give_back(std::string buffer);

  /// What they confirm was written.
  void written();
  /// What they confirm could not be written: `busy` takes the place of those replies.
  void refuse_unwritten();
  void send();

 private:
  struct Outgoing {
    ReplyTo to;
    std::string body;
    bool needs_write = false;
  };

  const Journal& journal_;
  Send send_;
  std::size_t limit_ = kMaxReply;
  std::vector<Outgoing> outgoing_;
  std::vector<std::string> buffers_;  ///< kept for their capacity
};

}  // namespace inotifier
