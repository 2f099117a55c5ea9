// Prints events for `watch` and `sub`: aligned, coloured and with human sizes on a terminal, one
// JSON CloudEvent a line otherwise; --json, -0, --format. One thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/arguments.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

class Printer {
 public:
  /// Throws UsageError for two formats at once and for a format that cannot be read.
  ///
  /// --format: {field} is a key of the envelope, a key of data, or one of {relative_path} and
  /// {name}; what an event does not have is empty; {path} has its exact bytes. {{ and }} are
  /// braces, \t \n \r \0 \\ what they are in C. A line end follows unless the format ends with \n
  /// or \0.
  Printer(const OutputOptions& options, std::FILE* out);
  ~Printer();

  /// Prints and flushes. False if the reader of the pipe has gone: stop quietly. SIGPIPE has to be
  /// ignored for that. Throws SetupError if writing fails otherwise.
  bool print(const Event& event);
  /// print() in two steps, for many events at once. What add() has not yet written stays in the
  /// stream's buffer until flush().
  bool add(const Event& event);
  bool flush();

  /// While the reader of a pipe does not read, `fd` being readable ends the waiting: add(), flush()
  /// and print() return false, and what is not written is dropped.
  void stop_by(int fd);

  /// Nobody reads the pipe any more, or the terminal was closed.
  bool reader_is_gone() const;

  /// False if print() would print nothing: -0, and the event has no path.
  bool shows(const Event& event) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Rows under headings, in columns; the last column is not filled up.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  /// With line ends.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Throws UsageError for one that nobody publishes, which would be waited for in silence.
void check_types(const std::vector<std::string>& types);

/// The message for a failed write to standard output.
std::string why_not_written(int error);

/// "0 B", "1023 B", "1.5 KiB", "12.0 GiB".
std::string human_size(std::int64_t bytes);

/// For a terminal: control characters and broken UTF-8 as \xNN, a backslash as two.
std::string visible(std::string_view bytes);

}  // namespace inotifier
