// A fresh directory of a test, removed with all that is in it.
#pragma once

#include <string>
#include <vector>

namespace inotifier::testing {

class Sandbox {
 public:
  explicit Sandbox(const std::string& place);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  const std::string& path() const { return path_; }

  /// Where tests may work, one directory per file system: $TMPDIR or /tmp first, then /dev/shm if
  /// it can be written to.
  static std::vector<std::string> places();

 private:
  std::string path_;
};

}  // namespace inotifier::testing
