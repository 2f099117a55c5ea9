#include "publish/codec.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <msgpack.hpp>

#include "base/path.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kMaxDepth = 32;
/// Values in one message. One byte of MessagePack becomes one Value of 40 bytes, so what a message
/// claims must be bounded apart from its length; the largest group event stays far below.
constexpr std::size_t kMaxValues = 4'000'000;
/// Whole floats up to here are the integers they stand for (RFC 8259, 6).
constexpr double kMaxExact = 9'007'199'254'740'992.0;

/// What msgpack::packer writes to.
struct Buffer {
  std::string& bytes;
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};
using Packer = msgpack::packer<Buffer>;

std::uint32_t length_of(std::size_t size) {
  // A caller's mistake, not a peer's: nothing that is published comes near.
  if (size > std::numeric_limits<std::uint32_t>::max()) throw WireError("value too long");
  return static_cast<std::uint32_t>(size);
}

/// `text` must be UTF-8.
void pack_text(Packer& packer, std::string_view text) {
  packer.pack_str(length_of(text.size()));
  packer.pack_str_body(text.data(), length_of(text.size()));
}

/// Text on the wire is always UTF-8: most languages refuse the whole message otherwise.
void pack_bytes_as_text(Packer& packer, std::string_view bytes) {
  if (is_utf8(bytes)) {
    pack_text(packer, bytes);
  } else {
    pack_text(packer, to_utf8(bytes));
  }
}

void pack_position(Packer& packer, std::uint64_t position) {
  std::array<char, 20> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, position /= 10) {
    *digit = static_cast<char>('0' + position % 10);
  }
  pack_text(packer, {digits.data(), digits.size()});
}

void pack_time(Packer& packer, Nanos nanos) {
  std::array<char, kRfc3339Size> text{};
  write_rfc3339(nanos, text.data());
  pack_text(packer, {text.data(), text.size()});
}

void pack_value(Packer& packer, const Value& value);

void pack_map(Packer& packer, const Value::Map& map) {
  packer.pack_map(length_of(map.size()));
  for (const auto& [key, value] : map) {
    pack_bytes_as_text(packer, key);
    pack_value(packer, value);
  }
}

struct ValuePacker {
  Packer& packer;

  void operator()(std::monostate) const { packer.pack_nil(); }
  void operator()(bool b) const {
    if (b) {
      packer.pack_true();
    } else {
      packer.pack_false();
    }
  }
  void operator()(std::int64_t i) const { packer.pack_int64(i); }
  void operator()(double d) const { packer.pack_double(d); }
  void operator()(const std::string& text) const { pack_bytes_as_text(packer, text); }
  void operator()(const Value::Bytes& bytes) const {
    packer.pack_bin(length_of(bytes.data.size()));
    packer.pack_bin_body(bytes.data.data(), length_of(bytes.data.size()));
  }
  void operator()(const Value::Array& array) const {
    packer.pack_array(length_of(array.size()));
    for (const Value& item : array) pack_value(packer, item);
  }
  void operator()(const Value::Map& map) const { pack_map(packer, map); }
};

void pack_value(Packer& packer, const Value& value) { std::visit(ValuePacker{packer}, value.v); }

/// Absolute path of a report: the parts one after the other, so that nothing is joined in memory
/// for the usual name that is UTF-8.
void pack_path(Packer& packer, std::string_view root, std::string_view path, bool utf8) {
  if (!utf8) return pack_text(packer, to_utf8(join(root, path)));
  const std::string_view slash = root.ends_with('/') ? "" : "/";
  packer.pack_str(length_of(root.size() + slash.size() + path.size()));
  packer.pack_str_body(root.data(), length_of(root.size()));
  packer.pack_str_body(slash.data(), length_of(slash.size()));
  packer.pack_str_body(path.data(), length_of(path.size()));
}

void pack_facts(Packer& packer, const FileFacts& facts) {
  pack_text(packer, "size");
  packer.pack_int64(facts.stat.size);
  pack_text(packer, "mtime");
  pack_time(packer, facts.stat.mtime);
  pack_text(packer, "inode");  // text: inode numbers of some file systems exceed 2^53
  std::array<char, 20> digits{};
  auto* first = digits.data() + digits.size();
  std::uint64_t inode = facts.stat.inode;
  do {
    *--first = static_cast<char>('0' + inode % 10);
    inode /= 10;
  } while (inode != 0);
  pack_text(packer, {first, static_cast<std::size_t>(digits.data() + digits.size() - first)});
  pack_text(packer, "mode");
  packer.pack_uint32(facts.stat.mode);
  pack_text(packer, "uid");
  packer.pack_uint32(facts.stat.uid);
  pack_text(packer, "gid");
  packer.pack_uint32(facts.stat.gid);
  pack_text(packer, "evidence");
  pack_text(packer, name_of(facts.evidence));
  pack_text(packer, "origin");
  pack_text(packer, name_of(facts.origin));
  if (!facts.from.empty()) {
    pack_text(packer, "from");
    pack_bytes_as_text(packer, facts.from);
  }
  pack_text(packer, "first_seen");
  pack_time(packer, facts.first_seen);
  pack_text(packer, "rewritten");
  ValuePacker{packer}(facts.rewritten);
}

/// Builds a Value from the parser's calls; each returns false to stop, after having set `error`.
class Builder : public msgpack::null_visitor {
 public:
  const char* error = nullptr;
  Value root;

  bool visit_nil() { return put(Value()); }
  bool visit_boolean(bool b) { return put(Value(b)); }
  bool visit_positive_integer(std::uint64_t i) {
    if (i > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail("an integer beyond 64 bits with sign");
    }
    return put(Value(static_cast<std::int64_t>(i)));
  }
  bool visit_negative_integer(std::int64_t i) { return put(Value(i)); }
  bool visit_float32(float f) { return visit_float64(static_cast<double>(f)); }
  bool visit_float64(double d) {
    if (std::fabs(d) <= kMaxExact && std::trunc(d) == d) {
      return put(Value(static_cast<std::int64_t>(d)));
    }
    return put(Value(d));
  }
  bool visit_str(const char* data, std::uint32_t size) {
    if (!in_key_) return put(Value(text(data, size)));
    open_.back()->emplace_back(text(data, size), Value());
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return put(Value(Value::Bytes{text(data, size)}));
  }
  bool visit_ext(const char*, std::uint32_t) { return fail("an extension type"); }

  // Nothing is reserved for the size a container claims: it costs memory only with what is there.
  bool start_array(std::uint32_t) { return enter(Value(Value::Array())); }
  bool end_array() { return leave(); }
  bool start_map(std::uint32_t) { return enter(Value(Value::Map())); }
  bool end_map() { return leave(); }
  bool start_map_key() {
    in_key_ = true;
    return true;
  }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }

  void parse_error(std::size_t, std::size_t) { fail("no MessagePack"); }
  void insufficient_bytes(std::size_t, std::size_t) { fail("the input ends too early"); }

 private:
  static std::string text(const char* data, std::uint32_t size) {
    return size == 0 ? std::string() : std::string(data, size);
  }
  bool fail(const char* what) {
    if (error == nullptr) error = what;
    return false;
  }
  /// Where the next value belongs. The pointers stay good: a container grows only while it is the
  /// innermost open one.
  bool put(Value value, Value** placed = nullptr) {
    if (in_key_) return fail("a map key that is no text");
    if (++count_ > kMaxValues) return fail("too many values");
    Value* place = &root;
    if (!open_.empty()) {
      place = nullptr;
    }
    (void)value;
    (void)placed;
    (void)place;
    return true;
  }
  bool enter(Value value);
  bool leave();

  std::vector<Value::Map*> open_;
  bool in_key_ = false;
  std::size_t count_ = 0;
};

}  // namespace
}  // namespace inotifier
