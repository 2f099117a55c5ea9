#include "cli/moment.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/names.hpp"
#include "base/rfc3339.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "inotifier/time.hpp"

namespace inotifier {

JournalPoint parse_journal_point(const std::string& text, std::int64_t now) {
  if (text == "start") return {JournalPoint::Kind::kStart, text};
  if (text == "now") return {JournalPoint::Kind::kNow, text};
  if (!text.empty() && text.size() <= 20 && std::all_of(text.begin(), text.end(), is_digit)) {
    return {JournalPoint::Kind::kPosition, std::string(20 - text.size(), '0') + text};
  }
  if (const auto back = parse_duration(text)) {
    return {JournalPoint::Kind::kTime, rfc3339(now - std::min(*back, now))};
  }
  if (const auto time = parse_rfc3339(text, TimeSyntax::kLoose))
    return {JournalPoint::Kind::kTime, rfc3339(*time)};
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
  const auto time = parse_rfc3339(text, TimeSyntax::kLoose);
  if (!time) return visible(text);
  return *time <= now ? rough_duration(now - *time) + " ago" : "in " + rough_duration(*time - now);
}

}  // namespace inotifier
