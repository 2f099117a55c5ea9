// What a request to the fetch service says, checked: every argument known, of its type and within
// its bounds. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/event.hpp"
#include "inotifier/time.hpp"
#include "journal/consumers.hpp"

namespace inotifier {

/// Ends the handling of a request with an error reply.
struct Refusal {
  std::string_view code;
  std::string message;
};

inline double in_seconds(Nanos nanos) { return static_cast<double>(nanos) / 1e9; }

/// 20 digits, or "0".
std::optional<std::uint64_t> parse_position(std::string_view text);

/// The arguments of one op. Getters throw Refusal; nil is the same as absent.
class Arguments {
 public:
  /// `allowed`: besides op and request.
  Arguments(const Value& request, std::initializer_list<std::string_view> allowed);

  bool has(std::string_view key) const { return request_.find(key) != nullptr; }
  /// At most `limit` bytes.
  std::optional<std::string> text(std::string_view key, std::size_t limit) const;
  std::string required_text(std::string_view key, std::size_t limit) const;
  /// Text, or bytes where it is none.
  std::string path() const;
  /// Of a consumer.
  std::string name() const;
  std::string client() const { return required_text("client", 64); }
  std::optional<std::uint64_t> position(std::string_view key) const;
  std::uint64_t required_position(std::string_view key) const;
  std::optional<Nanos> time(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low,
                                      std::int64_t high) const;
  /// Seconds, also with decimals.
  std::optional<Nanos> duration(std::string_view key, Nanos low, Nanos high) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::vector<std::uint64_t>> positions(std::string_view key) const;
  /// In order, without doubles.
  std::optional<std::vector<std::string>> types() const;
  std::optional<std::vector<std::string>> watches() const;

 private:
  std::optional<std::vector<std::string>> names(std::string_view key,
                                                bool (*is_good)(std::string_view)) const;

  const Value& request_;
};

}  // namespace inotifier
