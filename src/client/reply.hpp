// A reply of the fetch service, taken apart without decoding its events: thousands of them are in
// one message, and each is decoded when it is its turn. Pure; private to the client library.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "inotifier/event.hpp"

namespace inotifier {

struct Reply {
  zmq::message_t message;                ///< holds the bytes of `events`
  Value head;                            ///< the reply's map without `events`
  std::vector<std::string_view> events;  ///< each the MessagePack of one event
};

/// Throws WireError: no MessagePack, no map, a key that is no text, events that are no array, bytes
/// left over.
Reply parse_reply(zmq::message_t message);

/// The number in the text of a position; nothing if it is none.
std::optional<std::uint64_t> position_of(std::string_view text);

/// The same of a map's entry.
std::optional<std::uint64_t> position_in(const Value& map, std::string_view key);

/// A text entry of a map; "" if there is none.
std::string text_in(const Value& map, std::string_view key);

}  // namespace inotifier
