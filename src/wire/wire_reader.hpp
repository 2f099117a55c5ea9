// MessagePack taken apart without being decoded: the counterpart of WireWriter, for replies whose
// events are decoded one by one, when it is their turn. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace inotifier {

/// Each function takes something off the beginning; each throws WireError if that is something
/// else.
class WireReader {
 public:
  /// `bytes` must outlive this and what it returns.
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  /// One value, however deeply nested; its bytes.
  std::string_view value();
  /// How many pairs of values follow.
  std::uint64_t map();
  /// How many values follow.
  std::uint64_t array();

 private:
  std::uint64_t head(unsigned char fix, unsigned char wide, const char* what);
  std::string_view take(std::size_t size);

  std::string_view rest_;
};

}  // namespace inotifier
