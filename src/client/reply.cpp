#include "client/reply.hpp"

#include <charconv>
#include <utility>

#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

/// Finds the borders of MessagePack values (https://github.com/msgpack/msgpack/blob/master/spec.md)
/// and nothing else; what is between them is decode()'s to judge.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  /// One value, however deeply nested; its bytes.
  std::string_view value() {
    const std::string_view start = rest_;
    // Every value has a byte at least, so no claim can make this run longer than the input.
    for (std::uint64_t wanted = 1; wanted > 0; --wanted) {
      wanted += after_head();
      if (wanted - 1 > rest_.size()) fail();
    }
    return start.substr(0, start.size() - rest_.size());
  }

  std::uint64_t map_size() {
    const unsigned char type = byte();
    if (type >= 0x80 && type <= 0x8f) return type & 0x0fU;
    if (type == 0xde) return number(2);
    if (type == 0xdf) return number(4);
    throw WireError("reply: no map");
  }

  std::uint64_t array_size() {
    const unsigned char type = byte();
    if (type >= 0x90 && type <= 0x9f) return type & 0x0fU;
    if (type == 0xdc) return number(2);
    if (type == 0xdd) return number(4);
    throw WireError("reply: events are no array");
  }

  std::string_view text() {
    const unsigned char type = byte();
    if (type >= 0xa0 && type <= 0xbf) return take(type & 0x1fU);
    if (type >= 0xd9 && type <= 0xdb) return take(number(std::size_t{1} << (type - 0xd9U)));
    throw WireError("reply: a key that is no text");
  }

 private:
  [[noreturn]] static void fail() { throw WireError("MessagePack: the input ends too early"); }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  /// Takes what has nothing in it.
  std::uint64_t pass(std::uint64_t size) {
    take(size);
    return 0;
  }

  unsigned char byte() { return static_cast<unsigned char>(take(1)[0]); }

  std::uint64_t number(std::size_t size) {
    std::uint64_t result = 0;
    for (const char c : take(size)) result = result << 8U | static_cast<unsigned char>(c);
    return result;
  }

  /// Passes over a value's head, and its body if it is no container; how many values follow in it.
  std::uint64_t after_head() {
    const unsigned char type = byte();
    if (type <= 0x7f || type >= 0xe0) return 0;
    if (type <= 0x8f) return 2 * (type & 0x0fU);
    if (type <= 0x9f) return type & 0x0fU;
    if (type <= 0xbf) return pass(type & 0x1fU);
    switch (type) {
      case 0xc0:  // nil
      case 0xc2:  // false
      case 0xc3:  // true
        return 0;
      case 0xc4:  // bin 8, 16, 32
      case 0xc5:
      case 0xc6:
        return pass(number(std::size_t{1} << (type - 0xc4U)));
      case 0xc7:  // ext 8, 16, 32: a byte of type besides
      case 0xc8:
      case 0xc9:
        return pass(number(std::size_t{1} << (type - 0xc7U)) + 1);
      case 0xca:  // float 32
        return pass(4);
      case 0xcb:  // float 64
        return pass(8);
      case 0xcc:  // uint 8 to 64
      case 0xcd:
      case 0xce:
      case 0xcf:
        return pass(std::size_t{1} << (type - 0xccU));
      case 0xd0:  // int 8 to 64
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return pass(std::size_t{1} << (type - 0xd0U));
      case 0xd4:  // fixext 1 to 16
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return pass((std::size_t{1} << (type - 0xd4U)) + 1);
      case 0xd9:  // str 8, 16, 32
      case 0xda:
      case 0xdb:
        return pass(number(std::size_t{1} << (type - 0xd9U)));
      case 0xdc:
        return number(2);
      case 0xdd:
        return number(4);
      case 0xde:
        return 2 * number(2);
      case 0xdf:
        return 2 * number(4);
      default:  // 0xc1
        throw WireError("no MessagePack");
    }
  }

  std::string_view rest_;
};

}  // namespace

Reply parse_reply(zmq::message_t message) {
  Reply reply;
  reply.message = std::move(message);
  Cursor cursor(reply.message.to_string_view());
  Value::Map head;
  for (std::uint64_t keys = cursor.map_size(); keys > 0; --keys) {
    const std::string_view key = cursor.text();
    const std::string_view value = cursor.value();
    if (key != "events") {
      head.emplace_back(std::string(key), decode_value(value));
      continue;
    }
    if (value == "\xc0") continue;  // nil
    Cursor events(value);
    for (std::uint64_t left = events.array_size(); left > 0; --left) {
      reply.events.push_back(events.value());
    }
  }
  if (!cursor.at_end()) throw WireError("MessagePack: bytes left over");
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
