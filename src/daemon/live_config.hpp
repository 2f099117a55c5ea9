// The configuration as it is to be run: read at the start, and again at SIGHUP. Owned by the
// server; pipeline thread.
#pragma once

#include <optional>
#include <vector>

#include "config/load.hpp"

namespace inotifier {

class LiveConfig {
 public:
  /// Reads it and sets up the log. Throws UsageError.
  explicit LiveConfig(LoadOptions options);

  /// As read at the start, but for [log].
  const Config& get() const { return config_; }
  /// Reads it again. The watches there shall be from now on; nothing if it is in error: then it
  /// goes on as before.
  std::optional<std::vector<WatchConfig>> reload();
  /// The watches of reload() are there: the rest of what can be changed now is, too.
  void accept();

 private:
  LoadOptions options_;
  Config config_;
  Config read_;  ///< by reload()
};

}  // namespace inotifier
