// Events as MessagePack and as JSON. Pure functions; any thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "inotifier/event.hpp"

namespace inotifier {

/// Bytes that are no event, or no MessagePack at all.
struct WireError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// MessagePack of an event: one map with text keys, "specversion" first; what is empty is left out.
/// Text that is no UTF-8 gets U+FFFD.
std::string encode(const Event& event);

/// The event in `bytes`. Unknown keys of the envelope are ignored, absent and nil mean the same, a
/// whole float becomes an integer. Throws WireError: no MessagePack, bytes left over, nesting
/// deeper than 32, an extension type, an integer beyond 2^63, a map key that is no text; no map, or
/// one of specversion, id, source, type missing or no text. Memory is bounded by what is there, not
/// by what a length claims.
Event decode(std::string_view bytes);

/// Any MessagePack value (a heartbeat, a request). Throws WireError as above.
Value decode_value(std::string_view bytes);
std::string encode_value(const Value& value);

/// CloudEvents JSON on one line, without a line end. Bytes become base64 text; text that is no
/// UTF-8 gets U+FFFD.
std::string to_json(const Event& event);
std::string to_json(const Value& value);

}  // namespace inotifier
