#include "client/reply.hpp"

#include <charconv>
#include <utility>

#include "inotifier/wire.hpp"
#include "wire/wire_reader.hpp"

namespace inotifier {
Reply parse_reply(zmq::message_t message) {
  Reply reply;
  reply.message = std::move(message);
  WireReader reader(reply.message.to_string_view());
  Value::Map head;
  for (std::uint64_t pairs = reader.map(); pairs > 0; --pairs) {
    const Value key = decode_value(reader.value());
    if (key.text() == nullptr) throw WireError("reply: a key that is no text");
    const std::string_view value = reader.value();
    if (*key.text() != "events") {
      head.emplace_back(*key.text(), decode_value(value));
      continue;
    }
    if (value == "\xc0") continue;  // nil
    WireReader events(value);
    for (std::uint64_t left = events.array(); left > 0; --left) {
      reply.events.push_back(events.value());
    }
  }
  if (!reader.at_end()) throw WireError("MessagePack: bytes left over");
  reply.head = Value(std::move(head));
  return reply;
}

std::optional<std::uint64_t> position_of(std::string_view text) {
  std::uint64_t position = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, position);
  if (error != std::errc() || rest != end) return std::nullopt;
  return position;
}

std::optional<std::uint64_t> position_in(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  if (value == nullptr || value->text() == nullptr) return std::nullopt;
  return position_of(*value->text());
}

std::string text_in(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value == nullptr || value->text() == nullptr ? std::string() : *value->text();
}

}  // namespace inotifier
