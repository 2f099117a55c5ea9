#include "base/rfc3339.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>

#include "base/names.hpp"

namespace inotifier {
namespace {

using namespace std::chrono;

void write_digits(std::uint64_t number, char* end, int count) {
  for (; count > 0; --count, number /= 10) *--end = static_cast<char>('0' + number % 10);
}

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

/// ".5" at the beginning, taken away, in nanoseconds.
std::optional<Nanos> take_fraction(std::string_view& text, TimeSyntax syntax) {
  if (!take(text, '.')) return 0;
  if (text.empty() || !is_digit(text[0])) return std::nullopt;
  Nanos fraction = 0;
  Nanos unit = kSecond / 10;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), unit /= 10) {
    if (unit == 0 && syntax == TimeSyntax::kStrict) return std::nullopt;
    fraction += unit * (text[0] - '0');
  }
  return fraction;
}

/// "Z" or "+01:00".
std::optional<minutes> parse_zone(std::string_view text) {
  if (text == "Z" || text == "z") return minutes(0);
  const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
  const int hour = take_number(text, 2);
  if (sign == 0 || !take(text, ':')) return std::nullopt;
  const int minute = take_number(text, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || !text.empty()) return std::nullopt;
  return sign * (hours(hour) + minutes(minute));
}

/// Seconds since 1970 of a time of day in the local zone.
std::int64_t local_seconds(const year_month_day& day, int hour, int minute, int second) {
  std::tm time{};
  time.tm_year = static_cast<int>(day.year()) - 1900;
  time.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
  time.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
  time.tm_hour = hour;
  time.tm_min = minute;
  time.tm_sec = second;
  time.tm_isdst = -1;
  return std::mktime(&time);
}

}  // namespace

void write_rfc3339(Nanos nanos, char* out) {
  // In seconds: a day at the border of 64 bits has no beginning in nanoseconds.
  std::int64_t whole = nanos / kSecond;
  std::int64_t fraction = nanos % kSecond;
  if (fraction < 0) {
    fraction += kSecond;
    --whole;
  }
  write_rfc3339(whole, fraction, out);
}

void write_rfc3339(std::int64_t whole, std::int64_t fraction, char* out) {
  // A year has four digits.
  constexpr sys_seconds kFirst = sys_days(year(0) / 1 / 1);
  constexpr sys_seconds kLast = sys_days(year(10000) / 1 / 1) - seconds(1);
  const sys_seconds at = std::clamp(sys_seconds(seconds(whole)), kFirst, kLast);
  const sys_days day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  std::memcpy(out, "0000-00-00T00:00:00.000000000Z", kRfc3339Size);
  write_digits(static_cast<std::uint64_t>(static_cast<int>(date.year())), out + 4, 4);
  write_digits(static_cast<unsigned>(date.month()), out + 7, 2);
  write_digits(static_cast<unsigned>(date.day()), out + 10, 2);
  write_digits(static_cast<std::uint64_t>(time.hours().count()), out + 13, 2);
  write_digits(static_cast<std::uint64_t>(time.minutes().count()), out + 16, 2);
  write_digits(static_cast<std::uint64_t>(time.seconds().count()), out + 19, 2);
  write_digits(static_cast<std::uint64_t>(fraction), out + 29, 9);
}

std::string rfc3339(std::int64_t whole, std::int64_t fraction) {
  std::string out(kRfc3339Size, '\0');
  write_rfc3339(whole, fraction, out.data());
  return out;
}

std::string rfc3339(Nanos nanos) {
  std::string out(kRfc3339Size, '\0');
  write_rfc3339(nanos, out.data());
  return out;
}

std::optional<Nanos> parse_rfc3339(std::string_view text, TimeSyntax syntax) {
  const bool loose = syntax == TimeSyntax::kLoose;
  const int years = take_number(text, 4);
  if (!take(text, '-')) return std::nullopt;
  const int month_number = take_number(text, 2);
  if (!take(text, '-')) return std::nullopt;
  const int day_number = take_number(text, 2);
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const int hour = take_number(text, 2);
  if (!take(text, ':')) return std::nullopt;
  const int minute = take_number(text, 2);
  int second = 0;
  if (take(text, ':')) {
    second = take_number(text, 2);
  } else if (!loose) {
    return std::nullopt;
  }
  const bool in_range = years >= 1970 && years <= 2261 && month_number > 0 && day_number > 0 &&
                        hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 &&
                        second <= 60;
  if (!in_range) return std::nullopt;
  const year_month_day date{year(years), month(static_cast<unsigned>(month_number)),
                            day(static_cast<unsigned>(day_number))};
  if (!date.ok()) return std::nullopt;
  const auto fraction = take_fraction(text, syntax);
  if (!fraction) return std::nullopt;
  if (text.empty() && loose) {
    return std::max<Nanos>(0, local_seconds(date, hour, minute, second) * kSecond + *fraction);
  }
  const auto zone = parse_zone(text);
  if (!zone) return std::nullopt;
  const sys_seconds at = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - *zone;
  return std::max<Nanos>(0, at.time_since_epoch().count() * kSecond + *fraction);
}

}  // namespace inotifier
