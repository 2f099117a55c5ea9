// Reports to wire bytes; codec.cpp holds encode and decode of wire.hpp too, and is the only file
// with msgpack. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "inotifier/processor.hpp"

namespace inotifier {

/// What the journal adds to a report.
struct Envelope {
  std::string_view daemon_name;
  std::string_view watch;
  std::string_view root;  ///< absolute, bytes
  std::string_view id;    ///< 32 hex digits
  Nanos time = 0;         ///< wall clock
  std::uint64_t position = 0;
  std::uint64_t previous = 0;  ///< position of the previous event of the topic; 0 = none
};

/// Replaces `out`, whose capacity is kept from call to call: nothing else is allocated for a path
/// that is UTF-8 and plain in a URI. Neither subject nor path if report.path is empty; no mode, uid
/// and gid if the mode is 0 (a file that is gone); no evidence for what is not complete. A key of
/// report.data must not be one that is written here.
void encode_report(const Report& report, const Envelope& envelope, std::string& out);

/// 20 digits. Only prevsequence says "0" for 0, see encode_report.
std::string position_text(std::uint64_t position);

}  // namespace inotifier
