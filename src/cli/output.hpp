// Prints events for `watch` and `sub`: aligned, coloured and with human sizes on a terminal, one JSON
// CloudEvent a line otherwise; --json, -0, --format. One thread.
#pragma once

#include <cstdio>
#include <memory>

#include "cli/arguments.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

class Printer {
 public:
  /// Throws UsageError for an unknown {field} in the format or for two formats at once.
  Printer(const OutputOptions& options, std::FILE* out);
  ~Printer();
  /// Prints and flushes. False if the reader of the pipe has gone (EPIPE): stop quietly.
  bool print(const Event& event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
