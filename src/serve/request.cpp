#include "serve/request.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/clock.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

// A filter has a few names; more is a mistake, and 1,000 polls may wait with one each.
constexpr std::size_t kMaxNames = 256;
constexpr std::size_t kMaxPositions = 10'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter_or_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// "file.completed", "in_create".
bool is_type(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  });
}

[[noreturn]] void bad(std::string message) { throw Refusal{"bad_request", std::move(message)}; }

/// A number of exactly `digits` digits at the beginning, which is taken away; -1: there is none.
int take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return -1;
  int number = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!is_digit(text[i])) return -1;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Days since 1970 of a day in the Gregorian calendar.
std::int64_t days_of(int year, int month, int day) {
  // Years begin in March, so that the leap day is the last one.
  const int shifted_year = month <= 2 ? year - 1 : year;
  const int shifted_month = month <= 2 ? month + 9 : month - 3;
  return std::int64_t{365} * shifted_year + shifted_year / 4 - shifted_year / 100 +
         shifted_year / 400 + (153 * shifted_month + 2) / 5 + day - 1 - 719'468;
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && is_letter_or_digit(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '_' || c == '-'; });
}

std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text == "0") return 0;
  if (text.size() != 20 || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::int64_t position = 0;  // SQLite has no larger ones
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), position);
  if (error != std::errc()) return std::nullopt;
  return static_cast<std::uint64_t>(position);
}

std::optional<Nanos> parse_rfc3339(std::string_view text) {
  const int year = take_number(text, 4);
  if (!take(text, '-')) return std::nullopt;
  const int month = take_number(text, 2);
  if (!take(text, '-')) return std::nullopt;
  const int day = take_number(text, 2);
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const int hour = take_number(text, 2);
  if (!take(text, ':')) return std::nullopt;
  const int minute = take_number(text, 2);
  if (!take(text, ':')) return std::nullopt;
  const int second = take_number(text, 2);
  if (year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
      hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  Nanos fraction = 0;
  if (take(text, '.')) {
    Nanos unit = kSecond / 10;
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    while (!text.empty() && is_digit(text[0])) {
      if (unit == 0) return std::nullopt;
      fraction += unit * (text[0] - '0');
      unit /= 10;
      text.remove_prefix(1);
    }
  }
  std::int64_t offset = 0;  // minutes
  if (!take(text, 'Z') && !take(text, 'z')) {
    const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    const int hours = take_number(text, 2);
    if (sign == 0 || !take(text, ':')) return std::nullopt;
    const int minutes = take_number(text, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
    offset = sign * (hours * 60 + minutes);
  }
  if (!text.empty()) return std::nullopt;
  const std::int64_t seconds =
      ((days_of(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
  return std::max<Nanos>(0, seconds * kSecond + fraction);
}

Arguments::Arguments(const Value& request, std::initializer_list<std::string_view> allowed)
    : request_(request) {
  for (const auto& [key, value] : *request.map()) {
    if (key == "op" || key == "request") continue;
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      bad(fmt::format("unknown argument: {}", to_utf8(std::string_view(key).substr(0, 64))));
    }
  }
}

std::optional<std::string> Arguments::text(std::string_view key, std::size_t limit) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->text() == nullptr) bad(fmt::format("{} must be text", key));
  if (value->text()->size() > limit) bad(fmt::format("{} has more than {} bytes", key, limit));
  if (!is_utf8(*value->text())) bad(fmt::format("{} is no UTF-8", key));
  return *value->text();
}

std::string Arguments::required_text(std::string_view key, std::size_t limit) const {
  auto found = text(key, limit);
  if (!found || found->empty()) bad(fmt::format("{} is missing", key));
  return std::move(*found);
}

std::string Arguments::name() const {
  std::string name = required_text("consumer", 64);
  if (!is_name(name)) bad("consumer: a name is [A-Za-z0-9][A-Za-z0-9_-]{0,63}");
  return name;
}

std::optional<std::uint64_t> Arguments::position(std::string_view key) const {
  const auto found = text(key, 64);
  if (!found) return std::nullopt;
  const auto position = parse_position(*found);
  if (!position) bad(fmt::format("{}: a position is text of 20 digits", key));
  return position;
}

std::uint64_t Arguments::required_position(std::string_view key) const {
  const auto found = position(key);
  if (!found) bad(fmt::format("{} is missing", key));
  return *found;
}

std::optional<Nanos> Arguments::time(std::string_view key) const {
  const auto found = text(key, 64);
  if (!found) return std::nullopt;
  const auto time = parse_rfc3339(*found);
  if (!time) bad(fmt::format("{}: a time is RFC 3339 text: 2026-11-22T10:00:00Z", key));
  return time;
}

std::optional<std::int64_t> Arguments::integer(std::string_view key, std::int64_t low,
                                               std::int64_t high) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const std::int64_t* number = value->integer();
  if (number == nullptr || *number < low || *number > high) {
    bad(fmt::format("{} must be an integer from {} to {}", key, low, high));
  }
  return *number;
}

std::optional<Nanos> Arguments::duration(std::string_view key, Nanos low, Nanos high) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  double seconds = std::nan("");
  if (value->integer() != nullptr) {
    seconds = static_cast<double>(*value->integer());
  } else if (const double* number = std::get_if<double>(&value->v)) {
    seconds = *number;
  }
  if (!(seconds * 1e9 >= static_cast<double>(low) && seconds * 1e9 <= static_cast<double>(high))) {
    bad(fmt::format("{} must be seconds from {} to {}", key, low / kSecond, high / kSecond));
  }
  return static_cast<Nanos>(seconds * 1e9);
}

std::optional<bool> Arguments::boolean(std::string_view key) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const bool* truth = std::get_if<bool>(&value->v);
  if (truth == nullptr) bad(fmt::format("{} must be true or false", key));
  return *truth;
}

std::optional<std::vector<std::uint64_t>> Arguments::positions(std::string_view key) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const Value::Array* array = value->array();
  if (array == nullptr || array->size() > kMaxPositions) {
    bad(fmt::format("{} must be a list of at most {} positions", key, kMaxPositions));
  }
  std::vector<std::uint64_t> positions;
  for (const Value& item : *array) {
    const auto position = item.text() != nullptr ? parse_position(*item.text()) : std::nullopt;
    if (!position) bad(fmt::format("{}: a position is text of 20 digits", key));
    positions.push_back(*position);
  }
  return positions;
}

std::optional<std::vector<std::string>> Arguments::names(std::string_view key,
                                                         bool (*is_good)(std::string_view)) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const Value::Array* array = value->array();
  if (array == nullptr || array->size() > kMaxNames) {
    bad(fmt::format("{} must be a list of at most {} names", key, kMaxNames));
  }
  std::vector<std::string> names;
  for (const Value& item : *array) {
    if (item.text() == nullptr || !is_good(*item.text())) {
      bad(fmt::format("{}: one of them is no name", key));
    }
    names.push_back(*item.text());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<std::vector<std::string>> Arguments::types() const { return names("types", is_type); }
std::optional<std::vector<std::string>> Arguments::watches() const {
  return names("watches", is_name);
}

}  // namespace inotifier
