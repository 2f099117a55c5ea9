// XXH3 behind two functions. Stable across machines and versions: ids are made of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inotifier {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);
/// 16 bytes.
std::string hash128(std::string_view bytes);

}  // namespace inotifier
