// Durations and sizes as people write them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

#include "config/load.hpp"

namespace inotifier {
namespace {

using Unit = std::pair<std::string_view, std::int64_t>;

template <typename Duration>
constexpr std::int64_t kNanos = std::chrono::nanoseconds(Duration(1)).count();

// From the longest to the shortest: the order in which they may follow each other.
constexpr std::array<Unit, 8> kTimeUnits{{{"w", kNanos<std::chrono::weeks>},
                                          {"d", kNanos<std::chrono::days>},
                                          {"h", kNanos<std::chrono::hours>},
                                          {"m", kNanos<std::chrono::minutes>},
                                          {"s", kNanos<std::chrono::seconds>},
                                          {"ms", kNanos<std::chrono::milliseconds>},
                                          {"us", kNanos<std::chrono::microseconds>},
                                          {"ns", 1}}};

constexpr std::array<Unit, 10> kSizeUnits{{{"", 1},
                                           {"b", 1},
                                           {"kb", 1'000},
                                           {"mb", 1'000'000},
                                           {"gb", 1'000'000'000},
                                           {"tb", 1'000'000'000'000},
                                           {"kib", std::int64_t{1} << 10},
                                           {"mib", std::int64_t{1} << 20},
                                           {"gib", std::int64_t{1} << 30},
                                           {"tib", std::int64_t{1} << 40}}};

// So that neither a time of this century and a duration, nor two of these overflow.
constexpr std::int64_t kLongest = 36'525 * kNanos<std::chrono::days>;
constexpr std::int64_t kLargest = std::int64_t{1} << 53;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void skip_spaces(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

/// "12.5" and the spaces behind it, taken off `text`.
std::optional<long double> take_number(std::string_view& text) {
  long double number = 0;
  if (text.empty() || !is_digit(text[0])) return std::nullopt;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !is_digit(end[-1])) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  skip_spaces(text);
  return number;
}

/// Nothing if it is above `most`, or not whole.
std::optional<std::int64_t> whole(long double number, std::int64_t most) {
  constexpr long double kRounding = 1e-6L;
  const auto nearest = std::round(number);
  if (nearest > static_cast<long double>(most) || std::abs(number - nearest) > kRounding) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(nearest);
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  skip_spaces(text);
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  std::int64_t sum = 0;
  const auto* unit = kTimeUnits.begin();
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto name = text.substr(0, text.find_first_of(" .0123456789"));
    unit = std::find_if(unit, kTimeUnits.end(), [&](const Unit& u) { return u.first == name; });
    if (!number || unit == kTimeUnits.end()) return std::nullopt;
    const auto part = whole(*number * static_cast<long double>(unit->second), kLongest - sum);
    if (!part) return std::nullopt;
    sum += *part;
    ++unit;
    text.remove_prefix(name.size());
    skip_spaces(text);
  }
  return sum;
}

std::string duration_text(std::int64_t nanos) {
  if (nanos <= 0) return "0s";
  std::string text;
  for (const auto& [name, unit] : kTimeUnits) {
    if (name == "w" || nanos < unit) continue;  // days read better than weeks
    text += fmt::format("{}{}", nanos / unit, name);
    nanos %= unit;
  }
  return text;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  skip_spaces(text);
  const auto number = take_number(text);
  std::string name(text.substr(0, text.find_last_not_of(' ') + 1));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto* unit = std::find_if(kSizeUnits.begin(), kSizeUnits.end(),
                                  [&](const Unit& u) { return u.first == name; });
  if (!number || unit == kSizeUnits.end()) return std::nullopt;
  return whole(*number * static_cast<long double>(unit->second), kLargest);
}

std::string size_text(std::int64_t bytes) {
  for (const auto& [name, shift] : {std::pair{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    const auto unit = std::int64_t{1} << shift;
    if (bytes >= unit && bytes % unit == 0) return fmt::format("{}{}", bytes / unit, name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace inotifier
