// Durations and sizes as people write them.
#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

#include "config/load.hpp"

namespace inotifier {
namespace {

using Unit = std::pair<std::string_view, std::int64_t>;

// From the longest to the shortest: the order in which they may follow each other.
constexpr std::array<Unit, 8> kTimeUnits{{{"w", 604'800'000'000'000},
                                          {"d", 86'400'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}}};

constexpr std::array<Unit, 9> kSizeUnits{{{"b", 1},
                                          {"kb", 1'000},
                                          {"mb", 1'000'000},
                                          {"gb", 1'000'000'000},
                                          {"tb", 1'000'000'000'000},
                                          {"kib", std::int64_t{1} << 10},
                                          {"mib", std::int64_t{1} << 20},
                                          {"gib", std::int64_t{1} << 30},
                                          {"tib", std::int64_t{1} << 40}}};

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxSize = std::int64_t{1} << 53;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// "12.5" at the head of `text`, taken off it. `fraction` is in units of 1 / `scale`.
struct Number {
  std::int64_t whole = 0;
  std::int64_t fraction = 0;
  std::int64_t scale = 1;
};

std::optional<Number> take_number(std::string_view& text) {
  Number number;
  std::size_t i = 0;
  for (; i < text.size() && is_digit(text[i]); ++i) {
    if (__builtin_mul_overflow(number.whole, 10, &number.whole) ||
        __builtin_add_overflow(number.whole, text[i] - '0', &number.whole)) {
      return std::nullopt;
    }
  }
  if (i == 0) return std::nullopt;
  if (i + 1 < text.size() && text[i] == '.' && is_digit(text[i + 1])) {
    for (++i; i < text.size() && is_digit(text[i]); ++i) {
      if (number.scale == 1'000'000'000) return std::nullopt;
      number.fraction = number.fraction * 10 + (text[i] - '0');
      number.scale *= 10;
    }
  }
  text.remove_prefix(i);
  return number;
}

/// number * unit, nothing if it is too large or ends between two of the smallest.
std::optional<std::int64_t> product(const Number& number, std::int64_t unit) {
  std::int64_t whole = 0;
  if (__builtin_mul_overflow(number.whole, unit, &whole)) return std::nullopt;
  // Both factors are below 10^9, so this holds in 64 bits.
  const auto odd = unit % number.scale * number.fraction;
  if (odd % number.scale != 0) return std::nullopt;
  const auto rest = unit / number.scale * number.fraction + odd / number.scale;
  if (whole > kMax - rest) return std::nullopt;
  return whole + rest;
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  text = trim(text);
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  std::int64_t sum = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    text = trim(text);
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const auto name = text.substr(0, letters);
    while (next_unit < kTimeUnits.size() && kTimeUnits[next_unit].first != name) ++next_unit;
    if (next_unit == kTimeUnits.size()) return std::nullopt;
    const auto part = product(*number, kTimeUnits[next_unit].second);
    if (!part || sum > kMax - *part) return std::nullopt;
    sum += *part;
    ++next_unit;
    text = trim(text.substr(letters));
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
  text = trim(text);
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  std::string name;
  for (const char c : trim(text)) {
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (name.empty()) name = "b";
  for (const auto& [known, unit] : kSizeUnits) {
    if (name != known) continue;
    const auto bytes = product(*number, unit);
    return bytes && *bytes <= kMaxSize ? bytes : std::nullopt;
  }
  return std::nullopt;
}

std::string size_text(std::int64_t bytes) {
  for (const auto& [name, shift] : {std::pair{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    const auto unit = std::int64_t{1} << shift;
    if (bytes >= unit && bytes % unit == 0) return fmt::format("{}{}", bytes / unit, name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace inotifier
