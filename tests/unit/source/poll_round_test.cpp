#include "source/poll_round.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "support/fake_fs.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

/// A FUSE volume at /w.
struct Volume {
  Volume() {
    fs.make_directory("/w");
    fs.mount("/w", "volume", "fuse");
  }
  void write(const std::string& path) { fs.close_file(fs.open_file(path, {.create = true})); }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const PollResult& result : results) {
      for (const PolledFile& file : result.files) all.push_back(file.path);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  const PollResult& run() {
    results.clear();
    round.run();
    return results.back();
  }

  FakeFs fs;
  std::vector<PollResult> results;
  std::vector<std::string> asked;
  int calls = 0;
  std::size_t most = SIZE_MAX;  ///< parcels that are taken
  PollRound::Options options{7, kRootDir, "/w", true,
                             [](std::string_view path) { return path != "hidden"; }};
  PollRound round{options,
                  fs,
                  {[this] { ++calls; },
                   [this](PollResult result) {
                     results.push_back(std::move(result));
                     return results.size() < most;
                   },
                   [this] { return std::exchange(asked, {}); }}};
};

}  // namespace

TEST_CASE("poll round: every regular file below, but for what is not entered") {
  Volume volume;
  volume.fs.make_directory("/w/d");
  volume.fs.make_directory("/w/hidden");
  volume.write("/w/a");
  volume.write("/w/d/b");
  volume.write("/w/hidden/c");
  volume.fs.make_symlink("a", "/w/link");
  volume.fs.make_fifo("/w/fifo");
  const PollResult& end = volume.run();
  CHECK(volume.paths() == std::vector<std::string>{"a", "d/b"});
  CHECK(end.end_of_round);
  CHECK(end.whole);
  CHECK(end.watch == 7);
  CHECK(end.directories == 2);
  CHECK(end.root.inode != 0);
  CHECK(volume.fs.open_handles() == 0);
}

TEST_CASE("poll round: parcels are bounded, and a round that nobody wants ends") {
  Volume volume;
  for (int i = 0; i < 2500; ++i) volume.write("/w/f" + std::to_string(i));
  volume.run();
  CHECK(volume.results.size() == 3);
  CHECK(volume.paths().size() == 2500);
  volume.most = 1;
  CHECK_FALSE(volume.run().end_of_round);
  CHECK(volume.results.size() == 1);
  CHECK(volume.fs.open_handles() == 0);
}

TEST_CASE("poll round: what was asked for is looked at by name") {
  Volume volume;
  volume.write("/w/there");
  volume.asked = {"there", "gone", "gone/below"};
  CHECK(volume.run().gone == std::vector<std::string>{"gone", "gone/below"});
  CHECK(volume.run().gone.empty());
}

TEST_CASE("poll round: what cannot be read is told, and absence proves nothing then") {
  Volume volume;
  volume.fs.make_directory("/w/d");
  volume.write("/w/a");
  volume.fs.set_fault("/w/d", FakeCall::kOpen, EACCES, -1);
  const PollResult& end = volume.run();
  CHECK_FALSE(end.whole);
  CHECK(end.unreadable == std::vector<std::pair<std::string, int>>{{"d", EACCES}});
  CHECK(volume.paths() == std::vector<std::string>{"a"});
}

TEST_CASE("poll round: a root that is gone, or no remote one any more, ends it at once") {
  Volume volume;
  volume.write("/w/a");
  SUBCASE("unmounted") {
    volume.fs.unmount("/w");
    const PollResult& end = volume.run();
    CHECK(end.unmounted);
    CHECK(end.end_of_round);
  }
  SUBCASE("gone") {
    volume.fs.unmount("/w");
    volume.fs.remove_directory("/w");
    CHECK(volume.run().root_error == ENOENT);
  }
  CHECK(volume.paths().empty());
  CHECK(volume.results.size() == 1);
}

TEST_CASE("poll round: each call that may hang is announced before") {
  Volume volume;
  volume.run();
  const int without = volume.calls;
  CHECK(without == 3);  // the root, its listing, and once more after the end
  volume.calls = 0;
  volume.write("/w/a");
  volume.asked = {"b"};
  volume.run();
  CHECK(volume.calls == without + 2);
}
