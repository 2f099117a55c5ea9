#include "base/path.hpp"

#include <array>
#include <cstring>
#include <filesystem>

namespace inotifier {
namespace {

/// What stands at the beginning of `bytes`: one character, or a broken piece. The piece is the
/// longest one that could have begun a character (Unicode 15, 3.9, "maximal subpart"), at least
/// one byte.
struct Piece {
  std::size_t length;
  bool good;
};

Piece first_piece(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {1, true};
  // The second byte's range excludes overlong forms, surrogates and what is beyond U+10FFFF.
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return {1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= bytes.size() || at(i) < low || at(i) > high) return {i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, true};
}

/// Length of the leading part that is ASCII; most paths are nothing else.
std::size_t ascii_prefix(std::string_view bytes) {
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes.data() + i, 8);
    if ((eight & 0x8080808080808080U) != 0) break;
  }
  while (i < bytes.size() && static_cast<unsigned char>(bytes[i]) < 0x80) ++i;
  return i;
}

constexpr std::array<bool, 256> make_plain() {
  std::array<bool, 256> plain{};
  for (unsigned c = '0'; c <= '9'; ++c) plain[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) plain[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) plain[c] = true;
  for (const char c : std::string_view("-._~!$&'()*+,;=:@/")) {
    plain[static_cast<unsigned char>(c)] = true;
  }
  return plain;
}
constexpr std::array<bool, 256> kPlainInUri = make_plain();

}  // namespace

std::string join(std::string_view directory, std::string_view name) {
  std::string out;
  out.reserve(directory.size() + 1 + name.size());
  out += directory;
  if (!directory.empty() && !name.empty() && directory.back() != '/') out += '/';
  out += name;
  return out;
}

std::string absolute(std::string_view path) {
  std::string whole;
  if (!path.starts_with('/')) {
    whole = std::filesystem::current_path().native() + '/';
  }
  whole += path;
  std::string out;
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t slash = whole.find('/', at);
    const std::size_t end = slash == std::string::npos ? whole.size() : slash;
    const auto part = std::string_view(whole).substr(at, end - at);
    if (!part.empty() && part != ".") {
      out += '/';
      out += part;
    }
    at = end + 1;
  }
  return out.empty() ? "/" : out;
}

bool is_utf8(std::string_view bytes) {
  bytes.remove_prefix(ascii_prefix(bytes));
  while (!bytes.empty()) {
    const Piece piece = first_piece(bytes);
    if (!piece.good) return false;
    bytes.remove_prefix(piece.length);
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + 2);
  while (!bytes.empty()) {
    const Piece piece = first_piece(bytes);
    out += piece.good ? bytes.substr(0, piece.length) : std::string_view("\xef\xbf\xbd");
    bytes.remove_prefix(piece.length);
  }
  return out;
}

std::size_t utf8_length(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const Piece piece = first_piece(bytes);
  return piece.good ? piece.length : 0;
}

bool is_plain_in_uri(std::string_view path) {
  for (const char c : path) {
    if (!kPlainInUri[static_cast<unsigned char>(c)]) return false;
  }
  return path.substr(0, path.find('/')).find(':') == std::string_view::npos;
}

std::string percent_encode(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(path.size() + 16);
  if (path.substr(0, path.find('/')).find(':') != std::string_view::npos) out += "./";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlainInUri[byte]) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

}  // namespace inotifier
