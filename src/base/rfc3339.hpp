// Times as text: RFC 3339. Pure, but for the local time zone; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inotifier/time.hpp"

namespace inotifier {

/// 2026-11-22T10:00:00.000000000Z from nanoseconds since 1970.
std::string rfc3339(Nanos nanos);
inline constexpr std::size_t kRfc3339Size = 30;
/// The same into kRfc3339Size bytes at `out`.
void write_rfc3339(Nanos nanos, char* out);
/// Of seconds since 1970 and nanoseconds, in the years 0 to 9999.
std::string rfc3339(std::int64_t seconds, std::int64_t fraction);
void write_rfc3339(std::int64_t seconds, std::int64_t fraction, char* out);

enum class TimeSyntax {
  kStrict,  ///< with "Z" or an offset, up to nine decimals
  kLoose,   ///< as people write it: the seconds may be missing; without a zone it is local time
};
/// From 1970 to 2261. A space may stand for the T.
std::optional<Nanos> parse_rfc3339(std::string_view text, TimeSyntax syntax = TimeSyntax::kStrict);

}  // namespace inotifier
