#include "base/hash.hpp"

#include <xxhash.h>

#include <array>

namespace inotifier {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string hash128_hex(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(2 * sizeof canonical.digest, '0');
  for (std::size_t i = 0; i < sizeof canonical.digest; ++i) {
    hex[2 * i] = kDigits[canonical.digest[i] >> 4U];
    hex[2 * i + 1] = kDigits[canonical.digest[i] & 15U];
  }
  return hex;
}

}  // namespace inotifier
