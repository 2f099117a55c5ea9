// A configuration as it was written, before any of it is judged: what file, environment and command
// line have in common. Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/suggest.hpp"

namespace inotifier::config {

/// Where values come from, kept for showing what is wrong.
struct Source {
  std::string name;                ///< "inotifier.toml", "environment", "arguments"
  std::vector<std::string> lines;  ///< of the file, or one for each variable or option
  bool numbered = false;           ///< whether a line's number says something (in a file it does)
  int rank = 0;                    ///< errors of lower rank are told first
};

struct TableEntry;

struct Node {
  using List = std::vector<Node>;
  using Table = std::vector<TableEntry>;
  /// What no key of ours takes: "a date", "a number with a fraction".
  struct Other {
    std::string what;
  };

  std::variant<bool, std::int64_t, std::string, List, Table, Other> value;
  std::size_t line = 0;  ///< index into Source::lines
  /// Text without quotes, of the environment or the command line: may stand for a number, for true
  /// or false, or for a list separated by commas.
  bool bare = false;
};

struct TableEntry {
  std::string key;
  Node node;
};

/// Collects what is wrong, so that it can be told all at once.
class Problems {
 public:
  void add(const Source& source, std::size_t line, std::string_view key, std::string_view reason,
           std::string_view suggestion = {});
  /// Throws ConfigError with everything, in the order of the sources and their lines.
  void throw_if_any() const;

 private:
  struct Problem {
    int rank;
    std::size_t line;
    std::string text;
  };
  std::vector<Problem> problems_;
};

/// Parses TOML; `source.lines` gets its lines. Nothing if that failed, with the reason in
/// `problems`.
std::optional<Node> parse_toml(std::string_view text, Source& source, Problems& problems);

/// The value of an environment variable or an option: a TOML list in [], else bare text. `line` is
/// that of the source. Nothing if a list is malformed.
std::optional<Node> parse_value(std::string_view text, std::size_t line);

/// Why toml11 should not see this text: its recursion would not end well. "" if it may.
/// `line` becomes the index of the line.
std::string too_deep(std::string_view text, std::size_t& line);

/// For an error message: one line, no control characters, U+FFFD for what is no UTF-8, not too
/// long.
std::string printable(std::string_view text);

}  // namespace inotifier::config
