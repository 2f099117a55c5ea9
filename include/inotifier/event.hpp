// The published fact, as a client receives it: a CloudEvents 1.0 envelope around a map of data.
// Plain values; any thread. The wire format is in clients/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace inotifier {

/// A value as MessagePack and JSON both know it. Maps keep the order in which they were written.
struct Value {
  struct Bytes {
    std::string data;
    bool operator==(const Bytes&) const = default;
  };
  using Array = std::vector<Value>;
  using Map = std::vector<std::pair<std::string, Value>>;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes, Array, Map> v;

  Value() = default;
  Value(bool b) : v(b) {}                            // NOLINT(*-explicit-*)
  Value(int i) : v(static_cast<std::int64_t>(i)) {}  // NOLINT(*-explicit-*)
  Value(std::int64_t i) : v(i) {}                    // NOLINT(*-explicit-*)
  Value(double d) : v(d) {}                          // NOLINT(*-explicit-*)
  Value(const char* s) : v(std::string(s)) {}        // NOLINT(*-explicit-*)
  Value(std::string s) : v(std::move(s)) {}          // NOLINT(*-explicit-*)
  Value(std::string_view s) : v(std::string(s)) {}   // NOLINT(*-explicit-*)
  Value(Bytes b) : v(std::move(b)) {}                // NOLINT(*-explicit-*)
  Value(Array a) : v(std::move(a)) {}                // NOLINT(*-explicit-*)
  Value(Map m) : v(std::move(m)) {}                  // NOLINT(*-explicit-*)

  bool operator==(const Value&) const = default;

  bool is_nil() const { return std::holds_alternative<std::monostate>(v); }
  const std::string* text() const { return std::get_if<std::string>(&v); }
  const Map* map() const { return std::get_if<Map>(&v); }
  const Array* array() const { return std::get_if<Array>(&v); }
  /// The number if it is whole. decode() makes an integer of a whole float (the wire allows both).
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&v); }
  /// The value under `key`; nullptr if this is no map, or it has no such key, or the value is nil
  /// (absent and nil mean the same on the wire).
  const Value* find(std::string_view key) const;
};

/// One event, decoded. Every field of the envelope is text, as on the wire.
struct Event {
  std::string id;        ///< 32 hex digits; the same fact has the same id however often it is told
  std::string source;    ///< "//<daemon name>/<watch>"
  std::string type;      ///< "file.completed", "watch.ready", "in_create", ...
  std::string subject;   ///< path relative to the watch's root, percent-encoded; "" = the watch
  std::string time;      ///< RFC 3339, UTC, nine decimals
  std::string sequence;  ///< position in the journal, 20 digits
  std::string
      prevsequence;  ///< position of the previous event of the same topic; "0" for the first
  Value data;        ///< map

  bool operator==(const Event&) const = default;

  /// data.watch; empty if there is none.
  std::string watch() const;
  /// What open(2) takes: the exact bytes, also for a name that is no UTF-8. Empty if the event has
  /// no path.
  std::string path() const;
  /// `path()` below the watch's root, as bytes; "" for the root itself.
  std::string relative_path() const;
  /// data.size in bytes, or -1.
  std::int64_t size() const;
};

}  // namespace inotifier
