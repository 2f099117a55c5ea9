#include <fmt/format.h>

#include "config/tree.hpp"

namespace inotifier::config {
namespace {

// Ours needs two levels and one dot; toml11 recurses for each.
constexpr int kDeepest = 32;

/// Skips the string that begins at `i`; the index behind it. Lets a string without an end go to the
/// end of its line, or of the text: the parser tells.
std::size_t behind_string(std::string_view text, std::size_t i, std::size_t& line) {
  const char quote = text[i];
  const std::string three(3, quote);
  const bool is_long = text.substr(i, 3) == three;
  i += is_long ? 3 : 1;
  for (; i < text.size(); ++i) {
    if (text[i] == '\n') {
      if (!is_long) return i;
      ++line;
    } else if (text[i] == '\\' && quote == '"') {
      if (i + 1 < text.size() && text[i + 1] == '\n') ++line;
      ++i;
    } else if (is_long ? text.substr(i, 3) == three : text[i] == quote) {
      return i + (is_long ? 3 : 1);
    }
  }
  return i;
}

}  // namespace

std::string too_deep(std::string_view text, std::size_t& line) {
  line = 0;
  int depth = 0;
  int dots = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    switch (text[i]) {
      case '#':
        while (i < text.size() && text[i] != '\n') ++i;
        continue;
      case '"':
      case '\'':
        i = behind_string(text, i, line);
        continue;
      case '\n':
        ++line;
        dots = 0;
        break;
      case ',':
      case '=':
        dots = 0;
        break;
      case '[':
      case '{':
        if (++depth > kDeepest) return fmt::format("brackets are nested deeper than {}", kDeepest);
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case '.':
        if (++dots > kDeepest) return fmt::format("a key has more than {} parts", kDeepest);
        break;
      default:
        break;
    }
    ++i;
  }
  return {};
}

}  // namespace inotifier::config
