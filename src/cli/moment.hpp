// Points in time and places in the journal, as people write and read them. Pure functions; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace inotifier {

/// A point of the journal, where reading can begin.
struct JournalPoint {
  enum class Kind { kStart, kNow, kPosition, kTime };
  Kind kind = Kind::kStart;
  std::string text;  ///< as the wire wants it: "start", "now", 20 digits, RFC 3339 in UTC
};

/// start, now, a position, a time, or a duration back from `now` ("1h"). Throws UsageError.
JournalPoint parse_journal_point(const std::string& text, std::int64_t now);

/// "3s ago", "2h ago", "in 40s"; `text` itself (made visible) if it is no time.
std::string ago(const std::string& text, std::int64_t now);

/// "40s", "3m", "2h", "5d": the largest unit only.
std::string rough_duration(std::int64_t nanos);

}  // namespace inotifier
