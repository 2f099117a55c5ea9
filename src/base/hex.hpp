// Hexadecimal digits. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace inotifier {

/// Two lower-case digits for each byte.
std::string hex(std::string_view bytes);
/// The value of a digit, of either case; -1 if it is none.
int hex_digit(char c);

}  // namespace inotifier
