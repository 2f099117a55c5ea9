// Which paths a watch speaks of: include, exclude, temporary. Pure, immutable; any thread.
//
// A pattern without a slash is held against each component's name, one with a slash against the
// path relative to the root (a leading slash anchors a mere name too). `*` and `?` do not cross a
// slash, `**` does, `[...]` is a class, case matters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace inotifier {

class Glob {
 public:
  explicit Glob(std::string pattern);
  bool matches(std::string_view text) const;
  bool has_slash() const { return has_slash_; }
  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  bool has_slash_;
  /// Most patterns are "*.suffix" or ".*": answered without walking.
  enum class Shape { kGeneral, kSuffix, kPrefix, kLiteral } shape_ = Shape::kGeneral;
  std::string fixed_;
};

class Filters {
 public:
  Filters(const std::vector<std::string>& include, const std::vector<std::string>& exclude,
          const std::vector<std::string>& temporary);

  enum class Verdict { kAdmitted, kTemporary, kExcluded };
  /// A verdict, and the pattern that decided; null: none did (`include` has none that matches).
  struct Reason {
    Verdict verdict = Verdict::kAdmitted;
    const Glob* pattern = nullptr;
  };
  Reason reason_of_file(std::string_view relative_path) const;
  Reason reason_of_directory(std::string_view relative_path) const;
  /// Of a file, by its own name; the directories above were judged by enters().
  Verdict file(std::string_view relative_path) const {
    return reason_of_file(relative_path).verdict;
  }
  /// Whether a file of this path has, or is below a directory that has, a temporary name.
  bool is_temporary(std::string_view path) const;
  /// Whether anything below this directory can be admitted: neither it nor what is above it is
  /// excluded or temporary. `relative_path` is that of the directory; only its last component is
  /// judged by name.
  bool enters(std::string_view relative_path) const {
    return reason_of_directory(relative_path).verdict == Verdict::kAdmitted;
  }

 private:
  static const Glob* first(const std::vector<Glob>& globs, std::string_view path,
                           std::string_view name);
  std::vector<Glob> include_;
  std::vector<Glob> exclude_;
  std::vector<Glob> temporary_;
  /// What an exclude pattern excludes as a whole: "done" of "done/**".
  struct Pruned {
    Glob glob;
    std::size_t of;  ///< in exclude_
  };
  std::vector<Pruned> pruned_;
};

}  // namespace inotifier
