#include "wire/codec.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <msgpack.hpp>

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

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

/// 20 digits at `out`.
void write_position(std::uint64_t position, char* out) {
  for (int i = 19; i >= 0; --i, position /= 10) out[i] = static_cast<char>('0' + position % 10);
}

void pack_position(Packer& packer, std::uint64_t position) {
  std::array<char, 20> digits{};
  write_position(position, digits.data());
  pack_text(packer, {digits.data(), digits.size()});
}

void pack_time(Packer& packer, Nanos nanos) {
  std::array<char, kRfc3339Size> text{};
  write_rfc3339(nanos, text.data());
  pack_text(packer, {text.data(), text.size()});
}

void pack_mtime(Packer& packer, const Stat& stat) {
  if (stat.far_seconds == 0) return pack_time(packer, stat.mtime);
  pack_text(packer, rfc3339(stat.far_seconds, stat.far_fraction));
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

/// Of a file that is gone there was nobody to ask: lstat(2) never gives mode 0.
bool has_mode(const FileFacts& facts) { return facts.stat.mode != 0; }

/// Evidence is why a file is complete. One that is gone, or stalled, is not.
bool has_evidence(const Report& report) {
  return report.type != "file.removed" && report.type != "file.stalled";
}

std::size_t count_facts(const Report& report) {
  return 6U + (has_mode(*report.file) ? 3U : 0U) + (has_evidence(report) ? 1U : 0U) +
         (report.file->from.empty() ? 0U : 1U);
}

void pack_facts(Packer& packer, const Report& report) {
  const FileFacts& facts = *report.file;
  pack_text(packer, "size");
  packer.pack_int64(facts.stat.size);
  pack_text(packer, "mtime");
  pack_mtime(packer, facts.stat);
  pack_text(packer, "inode");  // text: inode numbers of some file systems exceed 2^53
  std::array<char, 20> digits{};
  auto* first = digits.data() + digits.size();
  std::uint64_t inode = facts.stat.inode;
  do {
    *--first = static_cast<char>('0' + inode % 10);
    inode /= 10;
  } while (inode != 0);
  pack_text(packer, {first, static_cast<std::size_t>(digits.data() + digits.size() - first)});
  if (has_mode(facts)) {
    pack_text(packer, "mode");
    packer.pack_uint32(facts.stat.mode);
    pack_text(packer, "uid");
    packer.pack_uint32(facts.stat.uid);
    pack_text(packer, "gid");
    packer.pack_uint32(facts.stat.gid);
  }
  if (has_evidence(report)) {
    pack_text(packer, "evidence");
    pack_text(packer, name_of(facts.evidence));
  }
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

}  // namespace

std::string_view name_of(Evidence evidence) {
  switch (evidence) {
    case Evidence::kRename:
      return "rename";
    case Evidence::kCloseWrite:
      return "close_write";
    case Evidence::kLink:
      return "link";
    case Evidence::kScan:
      return "scan";
    case Evidence::kSettled:
      return "settled";
    case Evidence::kMarker:
      return "marker";
  }
  return "?";
}

std::string_view name_of(Origin origin) {
  switch (origin) {
    case Origin::kLive:
      return "live";
    case Origin::kStartup:
      return "startup";
    case Origin::kNewDirectory:
      return "new_directory";
    case Origin::kOverflow:
      return "overflow";
    case Origin::kRescan:
      return "rescan";
    case Origin::kPoll:
      return "poll";
  }
  return "?";
}

Value path_value(std::string_view path) {
  return is_utf8(path) ? Value(path) : Value(Value::Bytes{std::string(path)});
}

std::string position_text(std::uint64_t position) {
  std::string digits(20, '0');
  write_position(position, digits.data());
  return digits;
}

void WireWriter::map(std::size_t size) {
  Buffer buffer{out_};
  Packer(buffer).pack_map(length_of(size));
}

void WireWriter::array(std::size_t size) {
  Buffer buffer{out_};
  Packer(buffer).pack_array(length_of(size));
}

void WireWriter::text(std::string_view text) {
  Buffer buffer{out_};
  Packer packer(buffer);
  pack_bytes_as_text(packer, text);
}

void WireWriter::integer(std::int64_t number) {
  Buffer buffer{out_};
  Packer(buffer).pack_int64(number);
}

void WireWriter::number(double number) {
  Buffer buffer{out_};
  Packer(buffer).pack_double(number);
}

void WireWriter::boolean(bool value) { out_ += value ? '\xc3' : '\xc2'; }
void WireWriter::nil() { out_ += '\xc0'; }

void WireWriter::position(std::uint64_t position) {
  Buffer buffer{out_};
  Packer packer(buffer);
  pack_position(packer, position);
}

void WireWriter::value(const Value& value) {
  Buffer buffer{out_};
  Packer packer(buffer);
  pack_value(packer, value);
}

std::size_t WireWriter::open_array() {
  out_.append("\xdd\0\0\0\0", 5);  // array 32
  return out_.size() - 4;
}

void WireWriter::close_array(std::size_t opened, std::size_t size) {
  auto left = length_of(size);
  for (std::size_t i = 4; i-- > 0; left >>= 8U) out_[opened + i] = static_cast<char>(left & 0xffU);
}

std::size_t WireWriter::open_map() {
  out_ += '\x80';  // fixmap
  return out_.size() - 1;
}

void WireWriter::close_map(std::size_t opened, std::size_t size) {
  if (size > 15) throw WireError("map too large");
  out_[opened] = static_cast<char>(0x80U | size);
}

void encode_report(const Report& report, const Envelope& envelope, std::string& out) {
  out.clear();
  Buffer buffer{out};
  Packer packer(buffer);

  const bool has_path = !report.path.empty();
  packer.pack_map(has_path ? 9 : 8);
  pack_text(packer, "specversion");
  pack_text(packer, "1.0");
  pack_text(packer, "id");
  pack_text(packer, envelope.id);
  pack_text(packer, "source");
  packer.pack_str(length_of(3 + envelope.daemon_name.size() + envelope.watch.size()));
  packer.pack_str_body("//", 2);
  packer.pack_str_body(envelope.daemon_name.data(), length_of(envelope.daemon_name.size()));
  packer.pack_str_body("/", 1);
  packer.pack_str_body(envelope.watch.data(), length_of(envelope.watch.size()));
  pack_text(packer, "type");
  pack_text(packer, report.type);
  if (has_path) {
    pack_text(packer, "subject");
    if (is_plain_in_uri(report.path)) {
      pack_text(packer, report.path);
    } else {
      pack_text(packer, percent_encode(report.path));
    }
  }
  pack_text(packer, "time");
  pack_time(packer, envelope.time);
  pack_text(packer, "sequence");
  pack_position(packer, envelope.position);
  pack_text(packer, "prevsequence");
  if (envelope.previous == 0) {
    pack_text(packer, "0");
  } else {
    pack_position(packer, envelope.previous);
  }

  const bool utf8 = is_utf8(envelope.root) && is_utf8(report.path);
  std::size_t keys = 2 + report.data.size();
  if (has_path) keys += utf8 ? 1U : 2U;
  if (report.file) keys += count_facts(report);
  pack_text(packer, "data");
  packer.pack_map(length_of(keys));
  pack_text(packer, "watch");
  pack_text(packer, envelope.watch);
  pack_text(packer, "root");
  pack_bytes_as_text(packer, envelope.root);
  if (has_path) {
    pack_text(packer, "path");
    pack_path(packer, envelope.root, report.path, utf8);
    if (!utf8) {
      pack_text(packer, "path_bytes");
      ValuePacker{packer}(Value::Bytes{join(envelope.root, report.path)});
    }
  }
  if (report.file) pack_facts(packer, report);
  for (const auto& [key, value] : report.data) {
    pack_bytes_as_text(packer, key);
    pack_value(packer, value);
  }
}

std::string encode(const Event& event) {
  const std::array<std::pair<std::string_view, const std::string*>, 7> texts = {{
      {"id", &event.id},
      {"source", &event.source},
      {"type", &event.type},
      {"subject", &event.subject},
      {"time", &event.time},
      {"sequence", &event.sequence},
      {"prevsequence", &event.prevsequence},
  }};
  std::uint32_t keys = 2;
  for (const auto& [key, text] : texts) keys += text->empty() ? 0U : 1U;
  std::string out;
  Buffer buffer{out};
  Packer packer(buffer);
  packer.pack_map(keys);
  pack_text(packer, "specversion");
  pack_text(packer, "1.0");
  for (const auto& [key, text] : texts) {
    if (text->empty()) continue;
    pack_text(packer, key);
    pack_bytes_as_text(packer, *text);
  }
  pack_text(packer, "data");
  if (event.data.is_nil()) {
    packer.pack_map(0);
  } else {
    pack_value(packer, event.data);
  }
  return out;
}

std::string encode_value(const Value& value) {
  std::string out;
  Buffer buffer{out};
  Packer packer(buffer);
  pack_value(packer, value);
  return out;
}

}  // namespace inotifier
