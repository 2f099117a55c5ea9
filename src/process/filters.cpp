#include "process/filters.hpp"

namespace inotifier {
namespace {

/// One bracket class at `p` (after "["); moves `p` past "]". An unclosed one matches a literal "[".
bool class_matches(std::string_view pattern, std::size_t& p, char c) {
  std::size_t i = p;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  bool first = true;
  while (i < pattern.size() && (first || pattern[i] != ']')) {
    first = false;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      const auto low = static_cast<unsigned char>(pattern[i]);
      const auto high = static_cast<unsigned char>(pattern[i + 2]);
      const auto at = static_cast<unsigned char>(c);
      if (low <= at && at <= high) found = true;
      i += 3;
    } else {
      if (pattern[i] == c) found = true;
      ++i;
    }
  }
  if (i >= pattern.size()) return c == '[';
  p = i + 1;
  return found != negated && c != '/';
}

/// Iterative, with one point to come back to for `*` and one for `**`: no input makes it slower
/// than length times length.
bool glob_matches(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star_p = kNone;
  std::size_t star_t = 0;
  std::size_t deep_p = kNone;
  std::size_t deep_t = 0;
  while (true) {
    if (p < pattern.size() && pattern[p] == '*') {
      if (p + 1 < pattern.size() && pattern[p + 1] == '*') {
        p += 2;
        // "a/**/b" also means "a/b": the slash after ** may match nothing.
        if (p < pattern.size() && pattern[p] == '/' && (p == 2 || pattern[p - 3] == '/')) ++p;
        deep_p = p;
        deep_t = t;
        star_p = kNone;
      } else {
        star_p = ++p;
        star_t = t;
      }
      continue;
    }
    if (t == text.size() && p == pattern.size()) return true;
    if (t < text.size() && p < pattern.size()) {
      if (pattern[p] == '[') {
        std::size_t after = p + 1;
        if (class_matches(pattern, after, text[t])) {
          p = after;
          ++t;
          continue;
        }
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        if (pattern[p + 1] == text[t]) {
          p += 2;
          ++t;
          continue;
        }
      } else if (pattern[p] == text[t] || (pattern[p] == '?' && text[t] != '/')) {
        ++p;
        ++t;
        continue;
      }
    }
    if (star_p != kNone && star_t < text.size() && text[star_t] != '/') {
      t = ++star_t;
      p = star_p;
      continue;
    }
    if (deep_p != kNone && deep_t < text.size()) {
      // "**/" eats whole components only.
      ++deep_t;
      if (deep_p > 0 && pattern[deep_p - 1] == '/') {
        while (deep_t < text.size() && text[deep_t - 1] != '/') ++deep_t;
        if (deep_t == text.size()) return false;
      }
      t = deep_t;
      p = deep_p;
      star_p = kNone;
      continue;
    }
    return false;
  }
}

bool is_plain(std::string_view text) {
  return text.find_first_of("*?[\\") == std::string_view::npos;
}

std::string_view name_of_path(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::vector<Glob> globs(const std::vector<std::string>& patterns) {
  return {patterns.begin(), patterns.end()};
}

}  // namespace

Glob::Glob(std::string pattern)
    : pattern_(std::move(pattern)), has_slash_(pattern_.find('/') != std::string::npos) {
  if (pattern_.starts_with('/')) pattern_.erase(0, 1);
  const std::string_view view = pattern_;
  if (has_slash_) return;
  if (is_plain(view)) {
    shape_ = Shape::kLiteral;
    fixed_ = pattern_;
  } else if (view.starts_with('*') && view.size() > 1 && is_plain(view.substr(1))) {
    shape_ = Shape::kSuffix;
    fixed_ = pattern_.substr(1);
  } else if (view.ends_with('*') && view.size() > 1 && is_plain(view.substr(0, view.size() - 1))) {
    shape_ = Shape::kPrefix;
    fixed_ = pattern_.substr(0, view.size() - 1);
  }
}

bool Glob::matches(std::string_view text) const {
  switch (shape_) {
    case Shape::kLiteral:
      return text == fixed_;
    case Shape::kSuffix:
      return text.ends_with(fixed_);
    case Shape::kPrefix:
      return text.starts_with(fixed_);
    case Shape::kGeneral:
      return glob_matches(pattern_, text);
  }
  return false;
}

Filters::Filters(const std::vector<std::string>& include, const std::vector<std::string>& exclude,
                 const std::vector<std::string>& temporary)
    : include_(globs(include)), exclude_(globs(exclude)), temporary_(globs(temporary)) {
  for (std::size_t i = 0; i < exclude.size(); ++i) {
    const std::string& pattern = exclude[i];
    // "done/**" excludes all that can be below "done".
    if (pattern.ends_with("/**")) {
      pruned_.push_back({Glob(pattern.substr(0, pattern.size() - 3)), i});
    }
  }
}

const Glob* Filters::first(const std::vector<Glob>& globs, std::string_view path,
                           std::string_view name) {
  for (const Glob& glob : globs) {
    if (glob.matches(glob.has_slash() ? path : name)) return &glob;
  }
  return nullptr;
}

Filters::Reason Filters::reason_of_file(std::string_view relative_path) const {
  const std::string_view name = name_of_path(relative_path);
  // Temporary first: ".name.XXXXXX" is both a known temporary and a dotfile.
  if (const Glob* glob = first(temporary_, relative_path, name)) return {Verdict::kTemporary, glob};
  if (const Glob* glob = first(exclude_, relative_path, name)) return {Verdict::kExcluded, glob};
  if (include_.empty() || first(include_, relative_path, name) != nullptr) return {};
  return {Verdict::kExcluded, nullptr};
}

bool Filters::is_temporary(std::string_view path) const {
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && first(temporary_, part, name_of_path(part)) != nullptr) return true;
    if (end == std::string_view::npos) return false;
  }
}

Filters::Reason Filters::reason_of_directory(std::string_view relative_path) const {
  if (relative_path.empty()) return {};
  const std::string_view name = name_of_path(relative_path);
  if (const Glob* glob = first(temporary_, relative_path, name)) return {Verdict::kTemporary, glob};
  if (const Glob* glob = first(exclude_, relative_path, name)) return {Verdict::kExcluded, glob};
  // A pruned pattern keeps its anchor: "done" of "done/**" is a path, not a name at any depth.
  for (const Pruned& pruned : pruned_) {
    if (pruned.glob.matches(relative_path)) return {Verdict::kExcluded, &exclude_[pruned.of]};
  }
  return {};
}

}  // namespace inotifier
