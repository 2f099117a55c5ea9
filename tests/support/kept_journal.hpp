// A journal on the disk for one test: it outlives the pipelines that use it, and can be put back to
// what it was earlier. Removed with its directory at the end. One thread.
#pragma once

#include <filesystem>
#include <string>

#include "support/sandbox.hpp"

namespace inotifier::testing {

class KeptJournal {
 public:
  /// In memory where there is such a place: a test may begin hundreds of them.
  KeptJournal() : sandbox_(Sandbox::places().back()) {}

  std::string path() const { return sandbox_.path() + "/journal.db"; }

  /// Nobody may be writing.
  void save() { copy("/journal.db", "/saved.db"); }
  /// Nobody may have it open.
  void rewind() { copy("/saved.db", "/journal.db"); }

 private:
  void copy(const std::string& from, const std::string& to) const {
    for (const char* part : {"", "-wal"}) {
      const std::string source = sandbox_.path() + from + part;
      const std::string target = sandbox_.path() + to + part;
      std::filesystem::remove(target);
      if (std::filesystem::exists(source)) std::filesystem::copy_file(source, target);
    }
  }

  Sandbox sandbox_;
};

}  // namespace inotifier::testing
