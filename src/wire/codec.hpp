// Reports to wire bytes; codec.cpp holds encode of wire.hpp too. Pure; any thread.
#pragma once

#include <cstddef>
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

/// Appends MessagePack to a string, piece by piece, for replies that are made of parts. Whoever
/// opens a map or an array writes as many values as were announced.
class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}
  void map(std::size_t size);
  void array(std::size_t size);
  /// Broken UTF-8 gets U+FFFD.
  void text(std::string_view text);
  void integer(std::int64_t number);
  void number(double number);
  void boolean(bool value);
  void nil();
  void position(std::uint64_t position);
  void value(const Value& value);
  /// MessagePack of one thing, or of what open_array() waits for.
  void raw(std::string_view bytes) { out_ += bytes; }
  /// An array whose size is known at its end only.
  std::size_t open_array();
  void close_array(std::size_t opened, std::size_t size);
  /// The same for a map of at most 15 keys.
  std::size_t open_map();
  void close_map(std::size_t opened, std::size_t size);

 private:
  std::string& out_;
};

/// Text, or bytes where it is no UTF-8.
Value path_value(std::string_view path);

/// 20 digits. Only prevsequence says "0" for 0, see encode_report.
std::string position_text(std::uint64_t position);

}  // namespace inotifier
