#include "daemon/own_files.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "support/sandbox.hpp"

namespace inotifier {
namespace {

std::vector<std::string> excluded(const std::string& root, const std::string& file) {
  std::vector<WatchConfig> watches(1);
  watches[0].path = root;
  exclude_files(watches, {file});
  return watches[0].exclude;
}

TEST_CASE("own files are excluded by their path below the watch") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  const std::string place = std::filesystem::canonical(sandbox.path());
  std::filesystem::create_directories(place + "/in/deep");
  std::filesystem::create_directory_symlink(place + "/in", place + "/link");
  using Patterns = std::vector<std::string>;
  CHECK(excluded(place + "/in", place + "/in/j.db") == Patterns{"/j.db"});
  CHECK(excluded(place + "/in", place + "/in/deep/j.db") == Patterns{"/deep/j.db"});
  CHECK(excluded(place + "/in", place + "/in/not/yet/j.db") == Patterns{"/not/yet/j.db"});
  CHECK(excluded(place + "/in", place + "/in/deep/../j.db") == Patterns{"/j.db"});
  CHECK(excluded(place + "/in", place + "/link/j.db") == Patterns{"/j.db"});
  CHECK(excluded(place + "/link", place + "/in/j.db") == Patterns{"/j.db"});
  CHECK(excluded("/", place + "/in/j.db") == Patterns{place + "/in/j.db"});
  CHECK(excluded(place + "/in", place + "/in/a*b?[c]\\.db") == Patterns{"/a\\*b\\?\\[c]\\\\.db"});
  CHECK(excluded(place + "/in", place + "/in2/j.db").empty());
  CHECK(excluded(place + "/in", place + "/j.db").empty());
  CHECK(excluded(place + "/in/deep", place + "/in/j.db").empty());
}

TEST_CASE("a journal is more than one file") {
  const auto files = files_of_journal("/j");
  for (const char* file : {"/j", "/j-wal", "/j-shm", "/j-journal", "/j.lock"}) {
    CHECK(std::find(files.begin(), files.end(), file) != files.end());
  }
}

}  // namespace
}  // namespace inotifier
