// The fifteen raw event types, in the order of inotify(7): bit <-> "in_...". Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace inotifier {

struct RawType {
  std::uint32_t bit;
  std::string_view name;
};

const std::array<RawType, 15>& raw_types();
/// 0 if `name` is no raw type.
std::uint32_t raw_bit(std::string_view name);

}  // namespace inotifier
