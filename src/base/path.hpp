// Paths as bytes, and as text for those who need text. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace inotifier {

/// "a" + "b" -> "a/b"; an empty side adds no slash; "/" + "b" -> "/b".
std::string join(std::string_view directory, std::string_view name);

/// Absolute, without "." components, doubled or trailing slashes. ".." is kept (a symbolic link may
/// stand before it).
std::string absolute(std::string_view path);

bool is_utf8(std::string_view bytes);
/// Each broken piece becomes one U+FFFD, exactly as Python's decode("utf-8", "replace") does.
std::string to_utf8(std::string_view bytes);
/// Bytes of the character at the beginning; 0 if `bytes` is empty or does not begin with one.
std::size_t utf8_length(std::string_view bytes);

/// RFC 3986: everything but unreserved characters, sub-delims, ":", "@" and "/" becomes %XX. A
/// first segment with a colon gets "./" before it, so that it is no scheme.
std::string percent_encode(std::string_view path);
/// True if percent_encode would change nothing.
bool is_plain_in_uri(std::string_view path);

}  // namespace inotifier
