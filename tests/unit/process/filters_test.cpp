#include "process/filters.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

#include "config/config.hpp"

using namespace inotifier;

namespace {

using Verdict = Filters::Verdict;

bool matches(const char* pattern, std::string_view text) { return Glob(pattern).matches(text); }

/// The same language, written down without any thought of speed.
bool matches_slowly(std::string_view pattern, std::string_view text, bool at_start = true) {
  if (pattern.empty()) return text.empty();
  if (pattern.starts_with("**")) {
    std::string_view rest = pattern.substr(2);
    if (at_start && rest.starts_with('/')) {  // whole components, or none
      rest.remove_prefix(1);
      if (matches_slowly(rest, text, true)) return true;
      for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '/' && matches_slowly(rest, text.substr(i + 1), true)) return true;
      }
      return false;
    }
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (matches_slowly(rest, text.substr(i), false)) return true;
    }
    return false;
  }
  if (pattern.front() == '*') {
    for (std::size_t i = 0;; ++i) {
      if (matches_slowly(pattern.substr(1), text.substr(i), false)) return true;
      if (i == text.size() || text[i] == '/') return false;
    }
  }
  if (text.empty()) return false;
  const bool same = pattern.front() == '?' ? text.front() != '/' : pattern.front() == text.front();
  return same && matches_slowly(pattern.substr(1), text.substr(1), pattern.front() == '/');
}

}  // namespace

TEST_CASE("glob: stars, question marks, classes") {
  CHECK(matches("*.part", "a.part"));
  CHECK(matches("*.part", ".part"));
  CHECK_FALSE(matches("*.part", "a.parts"));
  CHECK_FALSE(matches("*.part", "a.PART"));
  CHECK(matches(".*.??????", ".name.Xy12Zq"));
  CHECK_FALSE(matches(".*.??????", ".name.Xy12Z"));
  CHECK(matches("a?c", "abc"));
  CHECK_FALSE(matches("a?c", "ac"));
  CHECK(matches("[a-c]x", "bx"));
  CHECK_FALSE(matches("[!a-c]x", "bx"));
  CHECK(matches("[]]x", "]x"));
  CHECK(matches("[x", "[x"));
  CHECK(matches("a\\*b", "a*b"));
  CHECK_FALSE(matches("a\\*b", "axb"));
  CHECK(matches("literal", "literal"));
  CHECK_FALSE(matches("literal", "literals"));
  CHECK(matches("*", "anything"));
  CHECK(matches("caf\xe9*", "caf\xe9.txt"));
}

TEST_CASE("glob: one star stays within a component, two do not") {
  CHECK(matches("in/*.dcm", "in/a.dcm"));
  CHECK_FALSE(matches("in/*.dcm", "in/x/a.dcm"));
  CHECK(matches("in/**/*.dcm", "in/x/y/a.dcm"));
  CHECK(matches("in/**/*.dcm", "in/a.dcm"));
  CHECK(matches("**/a", "a"));
  CHECK(matches("**/a", "x/y/a"));
  CHECK_FALSE(matches("**/a", "x/ya"));
  CHECK(matches("done/**", "done/a/b"));
  CHECK_FALSE(matches("done/**", "done"));
  CHECK_FALSE(matches("done/**", "donee/a"));
}

TEST_CASE("glob: agrees with the slow one on all that is short") {
  std::mt19937 random(1);
  const auto pick = [&](std::string_view letters, std::size_t most) {
    std::string text;
    for (std::size_t size = random() % (most + 1); text.size() < size;) {
      text += letters[random() % letters.size()];
    }
    return text;
  };
  for (int i = 0; i < 200'000; ++i) {
    const std::string pattern = pick("ab/**?", 7);
    const std::string text = pick("aab/", 7);
    // Paths have neither empty components nor slashes at their ends, and anchors are another
    // matter.
    if (text.starts_with('/') || text.ends_with('/') || text.find("//") != std::string::npos)
      continue;
    if (pattern.starts_with('/') || pattern.find("***") != std::string::npos) continue;
    // Without a slash it is held against names.
    if (!Glob(pattern).has_slash() && text.find('/') != std::string::npos) continue;
    CAPTURE(pattern);
    CAPTURE(text);
    REQUIRE(Glob(pattern).matches(text) == matches_slowly(pattern, text));
  }
}

TEST_CASE("glob: no pattern takes long") {
  const std::string text(5'000, 'a');
  CHECK_FALSE(matches("*a*a*a*a*a*a*a*a*a*b", text));
  CHECK_FALSE(matches("**a**a**a**a**a**a**a**a**b", text));
}

TEST_CASE("filters: the defaults") {
  const Filters filters({}, kDefaultExclude, kDefaultTemporary);
  CHECK(filters.file("a") == Verdict::kAdmitted);
  CHECK(filters.file("d/a.dcm") == Verdict::kAdmitted);
  CHECK(filters.file("d/a.part") == Verdict::kTemporary);
  CHECK(filters.file(".a.dcm.Xy12Zq") == Verdict::kTemporary);
  CHECK(filters.file(".in.a") == Verdict::kTemporary);
  CHECK(filters.file(".hidden") == Verdict::kExcluded);
  CHECK(filters.file("a~") == Verdict::kExcluded);
  CHECK(filters.enters(""));
  CHECK(filters.enters("d/e"));
  CHECK_FALSE(filters.enters("d/.git"));
  CHECK_FALSE(filters.enters("X.tmp"));
}

TEST_CASE("filters: a temporary name, or one above") {
  const Filters filters({}, {}, {"*.tmp", "/in/*.x"});
  CHECK(filters.is_temporary("a.tmp"));
  CHECK(filters.is_temporary("a.tmp/b/c"));
  CHECK(filters.is_temporary("d/a.tmp/b"));
  CHECK(filters.is_temporary("in/a.x/b"));
  CHECK_FALSE(filters.is_temporary("a/in/a.x"));
  CHECK_FALSE(filters.is_temporary("a.tmpl/b"));
  CHECK_FALSE(filters.is_temporary(""));
}

TEST_CASE("filters: names at any depth, paths from the root") {
  const Filters filters({}, {"tmp", "a/b"}, {});
  CHECK(filters.file("x/tmp") == Verdict::kExcluded);
  CHECK(filters.file("a/b") == Verdict::kExcluded);
  CHECK(filters.file("x/a/b") == Verdict::kAdmitted);
  CHECK_FALSE(filters.enters("x/tmp"));
  CHECK_FALSE(filters.enters("a/b"));
  CHECK(filters.enters("x/a/b"));
}

TEST_CASE("filters: include chooses among files, not among directories") {
  const Filters filters({"*.dcm"}, {"bad.dcm"}, {"*.part"});
  CHECK(filters.file("d/a.dcm") == Verdict::kAdmitted);
  CHECK(filters.file("d/a.txt") == Verdict::kExcluded);
  CHECK(filters.file("bad.dcm") == Verdict::kExcluded);
  CHECK(filters.file("a.part") == Verdict::kTemporary);
  CHECK(filters.enters("d"));
}

TEST_CASE("filters: a tree that is excluded as a whole is not entered") {
  const Filters filters({}, {"done/**", "**/cache/**"}, {});
  CHECK_FALSE(filters.enters("done"));
  CHECK_FALSE(filters.enters("done/a"));
  CHECK(filters.enters("donee"));
  CHECK(filters.enters("x/done"));
  CHECK_FALSE(filters.enters("x/cache"));
  CHECK_FALSE(filters.enters("cache"));
}
