// decode of wire.hpp, and reading MessagePack without decoding it. Like codec.cpp, which encodes, a
// file with msgpack: nobody else includes it.
#include <cmath>
#include <cstdint>
#include <limits>
#include <msgpack.hpp>
#include <string>
#include <utility>
#include <vector>

#include "inotifier/wire.hpp"
#include "wire/wire_reader.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kMaxDepth = 32;
/// Values in one message. One byte of MessagePack becomes one Value of 40 bytes, so what a message
/// claims must be bounded apart from its length; the largest group event stays far below.
constexpr std::size_t kMaxValues = 4'000'000;
/// Whole floats up to here are the integers they stand for (RFC 8259, 6).
constexpr double kMaxExact = 9'007'199'254'740'992.0;

/// Builds a Value from the parser's calls; each returns false to stop, after having set `error`.
class Builder : public msgpack::null_visitor {
 public:
  const char* error = "the input ends too early";
  Value root;

  bool visit_nil() { return place() != nullptr; }
  bool visit_boolean(bool b) { return put(b); }
  bool visit_positive_integer(std::uint64_t i) {
    if (i > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail("an integer beyond 2^63");
    }
    return put(static_cast<std::int64_t>(i));
  }
  bool visit_negative_integer(std::int64_t i) { return put(i); }
  bool visit_float32(float f) { return visit_float64(static_cast<double>(f)); }
  bool visit_float64(double d) {
    const bool whole = std::fabs(d) <= kMaxExact && std::trunc(d) == d;
    return whole ? put(static_cast<std::int64_t>(d)) : put(d);
  }
  bool visit_str(const char* data, std::uint32_t size) {
    if (!in_key_) return put(text(data, size));
    std::get<Value::Map>(open_.back()->v).emplace_back(text(data, size), Value());
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return put(Value::Bytes{text(data, size)});
  }
  bool visit_ext(const char* /*data*/, std::uint32_t /*size*/) { return fail("an extension type"); }

  // Nothing is reserved for the size that a container claims: only what is there costs memory.
  bool start_array(std::uint32_t /*claimed*/) { return enter(Value::Array()); }
  bool start_map(std::uint32_t /*claimed*/) { return enter(Value::Map()); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }
  bool start_map_key() {
    in_key_ = true;
    return true;
  }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }

  void parse_error(std::size_t /*from*/, std::size_t /*at*/) { fail("no MessagePack"); }

 private:
  static std::string text(const char* data, std::uint32_t size) {
    return size == 0 ? std::string() : std::string(data, size);
  }
  bool fail(const char* what) {
    error = what;
    return false;
  }
  /// The slot of the next value, nil as yet; nullptr to stop.
  Value* place() {
    if (in_key_ || ++count_ > kMaxValues) {
      fail(in_key_ ? "a map key that is no text" : "too many values");
      return nullptr;
    }
    if (open_.empty()) return &root;
    if (auto* array = std::get_if<Value::Array>(&open_.back()->v)) return &array->emplace_back();
    return &std::get<Value::Map>(open_.back()->v).back().second;
  }
  template <typename T>
  bool put(T value) {
    Value* slot = place();
    if (slot == nullptr) return false;
    slot->v = std::move(value);
    return true;
  }
  template <typename T>
  bool enter(T container) {
    if (open_.size() == kMaxDepth) return fail("nested too deeply");
    Value* slot = place();
    if (slot == nullptr) return false;
    slot->v = std::move(container);
    open_.push_back(slot);
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  std::vector<Value*> open_;  // stays good: a container grows only while it is the innermost one
  bool in_key_ = false;
  std::size_t count_ = 0;
};

/// Takes the text under `key` out of the envelope; nil and absent are "".
void take_text(Value::Map& envelope, std::string_view key, std::string& out) {
  for (auto& [name, value] : envelope) {
    if (name != key || value.is_nil()) continue;
    auto* text = std::get_if<std::string>(&value.v);
    if (text == nullptr) throw WireError("event: " + std::string(key) + " is no text");
    out = std::move(*text);
    return;
  }
}

void take_required_text(Value::Map& envelope, std::string_view key, std::string& out) {
  take_text(envelope, key, out);
  if (out.empty()) throw WireError("event: " + std::string(key) + " is missing");
}

/// Passes over values; only says what is wrong.
class Skipper : public msgpack::null_visitor {
 public:
  const char* error = "the input ends too early";
  void parse_error(std::size_t /*from*/, std::size_t /*at*/) { error = "no MessagePack"; }
};

/// Parses the value at the beginning of `bytes`; its length. Throws WireError.
template <typename Visitor>
std::size_t parse(std::string_view bytes, Visitor& visitor) {
  std::size_t used = 0;
  bool whole = false;
  try {
    whole = msgpack::parse(bytes.data(), bytes.size(), used, visitor);
  } catch (const msgpack::unpack_error& error) {
    throw WireError(std::string("MessagePack: ") + error.what());
  }
  if (!whole) throw WireError(std::string("MessagePack: ") + visitor.error);
  return used;
}

}  // namespace

Event decode(std::string_view bytes) {
  Value value = decode_value(bytes);
  auto* envelope = std::get_if<Value::Map>(&value.v);
  if (envelope == nullptr) throw WireError("event: no map");
  std::string specversion;
  take_required_text(*envelope, "specversion", specversion);
  if (!specversion.starts_with("1.")) throw WireError("event: unknown specversion");
  Event event;
  take_required_text(*envelope, "id", event.id);
  take_required_text(*envelope, "source", event.source);
  take_required_text(*envelope, "type", event.type);
  take_text(*envelope, "subject", event.subject);
  take_text(*envelope, "time", event.time);
  take_text(*envelope, "sequence", event.sequence);
  take_text(*envelope, "prevsequence", event.prevsequence);
  event.data = Value(Value::Map());
  for (auto& [name, content] : *envelope) {
    if (name != "data" || content.is_nil()) continue;
    if (content.map() == nullptr) throw WireError("event: data is no map");
    event.data = std::move(content);
    break;
  }
  return event;
}

Value decode_value(std::string_view bytes) {
  Builder builder;
  if (parse(bytes, builder) != bytes.size()) throw WireError("MessagePack: bytes left over");
  return std::move(builder.root);
}

std::string_view WireReader::value() {
  Skipper skipper;
  return take(parse(rest_, skipper));
}

std::uint64_t WireReader::map() { return head(0x80, 0xde, "a map"); }
std::uint64_t WireReader::array() { return head(0x90, 0xdc, "an array"); }

/// Of a container: `fix` is the type byte of the smallest form, `wide` of that with 16 bits.
std::uint64_t WireReader::head(unsigned char fix, unsigned char wide, const char* what) {
  const auto type = static_cast<unsigned char>(take(1)[0]);
  if ((type & 0xf0U) == fix) return type & 0x0fU;
  if (type != wide && type != wide + 1) throw WireError(std::string("MessagePack: not ") + what);
  std::uint64_t size = 0;
  for (const char c : take(type == wide ? 2 : 4)) size = size << 8U | static_cast<unsigned char>(c);
  return size;
}

std::string_view WireReader::take(std::size_t size) {
  if (size > rest_.size()) throw WireError("MessagePack: the input ends too early");
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

}  // namespace inotifier
