#include "cli/moment.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/error.hpp"
#include "base/path.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "inotifier/time.hpp"

namespace inotifier {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// ".5" at the head of `text`, taken off it, as nanoseconds.
std::int64_t take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  text.remove_prefix(1);
  std::int64_t nanos = 0;
  std::int64_t unit = kSecond / 10;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), unit /= 10) {
    nanos += (text[0] - '0') * unit;
  }
  return nanos;
}

/// "Z" or "+01:00" in seconds; nothing if `text` is neither.
std::optional<std::int64_t> parse_zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const bool well_formed = text.size() == 6 && (text[0] == '+' || text[0] == '-') &&
                           is_digit(text[1]) && is_digit(text[2]) && text[3] == ':' &&
                           is_digit(text[4]) && is_digit(text[5]);
  if (!well_formed) return std::nullopt;
  const int hours = (text[1] - '0') * 10 + (text[2] - '0');
  const int minutes = (text[4] - '0') * 10 + (text[5] - '0');
  return (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

}  // namespace

std::optional<std::int64_t> parse_time(const std::string& text) {
  std::tm time{};
  int used = 0;
  char separator = ' ';
  const int fields =
      std::sscanf(text.c_str(), "%4d-%2d-%2d%c%2d:%2d%n", &time.tm_year, &time.tm_mon,
                  &time.tm_mday, &separator, &time.tm_hour, &time.tm_min, &used);
  if (fields != 6 || (separator != 'T' && separator != 't' && separator != ' '))
    return std::nullopt;
  std::string_view rest = std::string_view(text).substr(static_cast<std::size_t>(used));
  if (rest.size() >= 3 && rest[0] == ':' && is_digit(rest[1]) && is_digit(rest[2])) {
    time.tm_sec = (rest[1] - '0') * 10 + (rest[2] - '0');
    rest.remove_prefix(3);
  }
  const bool in_range = time.tm_year >= 1970 && time.tm_mon >= 1 && time.tm_mon <= 12 &&
                        time.tm_mday >= 1 && time.tm_mday <= 31 && time.tm_hour >= 0 &&
                        time.tm_hour <= 23 && time.tm_min >= 0 && time.tm_min <= 59 &&
                        time.tm_sec <= 60;
  if (!in_range || time.tm_year > 2200) return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  const std::int64_t fraction = take_fraction(rest);
  if (rest.empty()) {
    time.tm_isdst = -1;
    return std::int64_t{std::mktime(&time)} * kSecond + fraction;
  }
  const auto zone = parse_zone(rest);
  if (!zone) return std::nullopt;
  return (std::int64_t{::timegm(&time)} - *zone) * kSecond + fraction;
}

JournalPoint parse_journal_point(const std::string& text, std::int64_t now) {
  if (text == "start") return {JournalPoint::Kind::kStart, text};
  if (text == "now") return {JournalPoint::Kind::kNow, text};
  if (!text.empty() && text.size() <= 20 && std::all_of(text.begin(), text.end(), is_digit)) {
    return {JournalPoint::Kind::kPosition, std::string(20 - text.size(), '0') + text};
  }
  if (const auto back = parse_duration(text)) {
    return {JournalPoint::Kind::kTime, rfc3339(now - std::min(*back, now))};
  }
  if (const auto time = parse_time(text)) return {JournalPoint::Kind::kTime, rfc3339(*time)};
  throw UsageError(
      fmt::format("\"{}\" is no point of the journal: give start, now, a position, a time such as "
                  "2026-11-22T10:00:00Z, or a duration back such as 1h",
                  visible(text)));
}

std::string rough_duration(std::int64_t nanos) {
  constexpr std::array<std::pair<std::int64_t, char>, 4> kUnits{
      {{86'400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}};
  const std::int64_t seconds = nanos / kSecond;
  for (const auto& [size, unit] : kUnits) {
    if (seconds >= size) return fmt::format("{}{}", seconds / size, unit);
  }
  return "0s";
}

std::string ago(const std::string& text, std::int64_t now) {
  const auto time = parse_time(text);
  if (!time) return visible(text);
  return *time <= now ? rough_duration(now - *time) + " ago" : "in " + rough_duration(*time - now);
}

}  // namespace inotifier
