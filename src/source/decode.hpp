// Bytes of an inotify descriptor to records. Pure. (inotify(7); a read can hold many records.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace inotifier {

struct Record {
  int wd = -1;
  std::uint32_t mask = 0;
  std::uint32_t cookie = 0;
  std::string_view name;  ///< without padding; into the bytes given
};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : bytes_(bytes) {}
  /// False at the end, or at a record that does not fit (then broken()).
  bool next(Record& record);
  bool broken() const { return broken_; }
  std::size_t offset() const { return offset_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
  bool broken_ = false;
};

}  // namespace inotifier
