// Reports to wire bytes. The only file besides json.cpp that knows the wire format; codec.cpp is the
// only one with msgpack. Pure; any thread.
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

/// Appends nothing: replaces `out`, whose capacity is kept from call to call.
void encode_report(const Report& report, const Envelope& envelope, std::string& out);

/// 20 digits. 0 becomes "0" where the wire says so (prevsequence), see encode_report.
std::string position_text(std::uint64_t position);

}  // namespace inotifier
