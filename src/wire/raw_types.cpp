#include "wire/raw_types.hpp"

#include <sys/inotify.h>

namespace inotifier {

const std::array<RawType, 15>& raw_types() {
  static constexpr std::array<RawType, 15> kTypes{{
      {IN_ACCESS, "in_access"},
      {IN_ATTRIB, "in_attrib"},
      {IN_CLOSE_WRITE, "in_close_write"},
      {IN_CLOSE_NOWRITE, "in_close_nowrite"},
      {IN_CREATE, "in_create"},
      {IN_DELETE, "in_delete"},
      {IN_MODIFY, "in_modify"},
      {IN_DELETE_SELF, "in_delete_self"},
      {IN_MOVE_SELF, "in_move_self"},
      {IN_MOVED_FROM, "in_moved_from"},
      {IN_MOVED_TO, "in_moved_to"},
      {IN_OPEN, "in_open"},
      {IN_IGNORED, "in_ignored"},
      {IN_Q_OVERFLOW, "in_q_overflow"},
      {IN_UNMOUNT, "in_unmount"},
  }};
  return kTypes;
}

std::uint32_t raw_bit(std::string_view name) {
  for (const RawType& type : raw_types()) {
    if (type.name == name) return type.bit;
  }
  return 0;
}

}  // namespace inotifier
