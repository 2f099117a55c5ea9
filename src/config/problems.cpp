#include <fmt/format.h>

#include <algorithm>

#include "base/path.hpp"
#include "config/config.hpp"
#include "config/tree.hpp"

namespace inotifier::config {
namespace {

// So that one wrong file does not fill a screen ten times over.
constexpr std::size_t kMostProblems = 20;
constexpr std::size_t kLongestLine = 160;

}  // namespace

std::string printable(std::string_view text) {
  std::string bytes(text.substr(0, kLongestLine));
  if (bytes.size() < text.size()) {
    // Not in the middle of a character.
    while (!bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0xC0U) == 0x80U) {
      bytes.pop_back();
    }
    if (!bytes.empty() && static_cast<unsigned char>(bytes.back()) >= 0xC0U) bytes.pop_back();
    bytes += "...";
  }
  for (char& c : bytes) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return to_utf8(bytes);
}

void Problems::add(const Source& source, std::size_t line, std::string_view key,
                   std::string_view reason, std::string_view suggestion) {
  std::string text = source.name;
  if (source.numbered) text += fmt::format(":{}", line + 1);
  if (!key.empty()) text += fmt::format(": {}", printable(key));
  text += fmt::format(": {}", reason);
  if (line < source.lines.size()) {
    std::string_view shown = source.lines[line];
    shown.remove_prefix(std::min(shown.find_first_not_of(" \t"), shown.size()));
    if (!shown.empty()) text += fmt::format("\n  {}", printable(shown));
  }
  if (!suggestion.empty()) text += fmt::format("\n  {}", suggestion);
  problems_.push_back({source.rank, line, std::move(text)});
}

void Problems::throw_if_any() const {
  if (problems_.empty()) return;
  auto sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.rank, a.line) < std::pair(b.rank, b.line);
  });
  std::string text;
  for (std::size_t i = 0; i < sorted.size() && i < kMostProblems; ++i) {
    if (i > 0) text += '\n';
    text += sorted[i].text;
  }
  if (sorted.size() > kMostProblems) {
    text += fmt::format("\nand {} more", sorted.size() - kMostProblems);
  }
  throw ConfigError(text);
}

}  // namespace inotifier::config
