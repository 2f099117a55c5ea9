#include <fmt/format.h>

#include <algorithm>

#include "config/tree.hpp"

namespace inotifier::config {
namespace {

// Ours needs two levels and one dot; toml11 recurses for each.
constexpr int kDeepest = 32;

}  // namespace

std::string too_deep(std::string_view text, std::size_t& line) {
  line = 0;
  int depth = 0;
  int dots = 0;
  std::string quote;  // that ends the text at `i`; "" outside of texts
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      dots = 0;
      if (quote.size() == 1) quote.clear();  // without an end: the parser tells
    } else if (!quote.empty()) {
      if (text.substr(i, quote.size()) == quote) {
        i += quote.size() - 1;
        quote.clear();
      } else if (c == '\\' && quote[0] == '"' && text.substr(i + 1, 1) != "\n") {
        ++i;
      }
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const std::string three(3, c);
      quote = text.substr(i, 3) == three ? three : std::string(1, c);
      i += quote.size() - 1;
    } else if (c == ',' || c == '=') {
      dots = 0;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return fmt::format("brackets are nested deeper than {}", kDeepest);
    } else if (c == ']' || c == '}') {
      depth = std::max(depth - 1, 0);
    } else if (c == '.' && ++dots > kDeepest) {
      return fmt::format("a key has more than {} parts", kDeepest);
    }
  }
  return {};
}

}  // namespace inotifier::config
