#include "source/root.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "support/fake_fs.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

struct OneRoot {
  OneRoot() { fs.make_directory("/w"); }
  void write(const std::string& path) { fs.close_file(fs.open_file(path, {.create = true})); }
  Root::Change check(Nanos after = kSecond) {
    const Root::Change change = root.check(now += after);
    root.close();  // as at the end of a turn
    return change;
  }

  FakeFs fs;
  Root root{"/w", fs};
  Nanos now = 0;
};

}  // namespace

TEST_CASE("root: found once, and the same until it is another one") {
  OneRoot one;
  CHECK(one.check().found);
  CHECK(one.root.attached());
  CHECK(one.root.traits().type == "ext4");
  const Root::Change same = one.check();
  CHECK_FALSE(same.found);
  CHECK(same.lost.empty());
  one.fs.rename("/w", "/old", false);
  one.fs.make_directory("/w");
  const Root::Change other = one.check();
  CHECK(other.lost == "replaced");
  CHECK(other.found);
}

TEST_CASE("root: each way of not being there has its name") {
  OneRoot one;
  SUBCASE("missing") {
    one.fs.remove_directory("/w");
    CHECK(one.check().lost == "missing");
  }
  SUBCASE("no directory") {
    one.fs.remove_directory("/w");
    one.write("/w");
    CHECK(one.check().lost == "not_a_directory");
  }
  SUBCASE("unreadable") {
    one.fs.set_fault("/w", FakeCall::kOpen, EACCES, -1);
    CHECK(one.check().lost == "unreadable");
  }
  CHECK_FALSE(one.root.attached());
  CHECK(one.root.open() == -1);
}

TEST_CASE("root: a shortage of descriptors says nothing of it") {
  OneRoot one;
  one.check();
  one.fs.set_fault("/w", FakeCall::kOpen, EMFILE, 1);
  const Root::Change change = one.check();
  CHECK(change.shortage == EMFILE);
  CHECK(change.lost.empty());
  CHECK(one.root.attached());
}

TEST_CASE(
    "root: mounted over, it is lost, and found as the volume; unmounted, an empty directory is not "
    "it") {
  OneRoot one;
  one.write("/w/a");
  one.check();
  one.fs.mount("/w", "volume");
  const Root::Change mounted = one.check();
  CHECK(mounted.lost == "mounted_over");
  CHECK(mounted.found);
  one.fs.unmount("/w");
  const Root::Change back = one.check();
  CHECK(back.lost == "unmounted");
  CHECK(back.found);  // it was our root before
}

TEST_CASE("root: where a volume was, an empty directory is not the watched tree") {
  OneRoot one;
  one.fs.mount("/w", "volume");
  one.check();
  one.fs.unmount("/w");
  CHECK(one.check().lost == "unmounted");
  CHECK_FALSE(one.root.attached());
  CHECK_FALSE(one.check().found);
  one.fs.mount("/w", "volume");
  CHECK(one.check().found);
}

TEST_CASE("root: one that does not answer is lost after a while, and not touched until it does") {
  OneRoot one;
  one.check();
  one.fs.set_hang("/w", true);
  CHECK(one.check().lost.empty());
  CHECK(one.root.silent_since() != 0);
  CHECK(one.root.open() == -1);
  CHECK(one.root.attached());
  CHECK(one.check(5 * kSecond).lost == "not_responding");
  CHECK_FALSE(one.root.attached());
  one.fs.set_hang("/w", false);
  CHECK(one.check().found);
  CHECK(one.root.silent_since() == 0);
}

TEST_CASE("root: no descriptor of it is kept, and another directory at its path is doubted") {
  OneRoot one;
  one.check();
  CHECK(one.root.open() >= 0);
  CHECK(one.fs.open_handles() == 1);
  one.root.close();
  CHECK(one.fs.open_handles() == 0);
  one.fs.rename("/w", "/old", false);
  one.fs.make_directory("/w");
  CHECK(one.root.open() == -1);
  CHECK(one.root.doubtful());
}

TEST_CASE("root: what is mounted below comes and goes") {
  OneRoot one;
  one.fs.make_directory("/w/d");
  one.check();
  CHECK_FALSE(one.root.mount_changes());
  one.fs.mount("/w/d", "volume");
  auto changes = one.root.mount_changes();
  REQUIRE(changes);
  CHECK(changes->mounted == std::vector<std::string>{"d"});
  CHECK_FALSE(one.root.mount_changes());
  one.fs.unmount("/w/d");
  changes = one.root.mount_changes();
  REQUIRE(changes);
  CHECK(changes->gone == std::vector<std::string>{"d"});

  // Mounted and unmounted since, and met in between.
  one.root.note_mount("d", false);
  CHECK_FALSE(one.root.mount_changes());
  one.root.note_mount("d", true);
  CHECK(one.root.mount_changes());
  CHECK_FALSE(one.root.mount_changes());
}

TEST_CASE("root: few watches are checked once a second, many in turn") {
  constexpr Nanos kNow = 1000 * kSecond;
  CHECK(next_root_check(kNow, 1, 1) == kNow + kSecond);
  CHECK(next_root_check(kNow + 1, 1, 1) == kNow + kSecond);
  CHECK(next_root_check(kNow - 1, 1, 1) == kNow);
  constexpr std::size_t kMany = 1000;
  std::map<Nanos, int> checks;
  for (std::size_t number = 1; number <= kMany; ++number) {
    Nanos at = kNow;
    for (int i = 0; i < 3; ++i) {
      const Nanos next = next_root_check(at, number, kMany);
      CHECK(next > at);
      CHECK(next <= at + 10 * kSecond);
      ++checks[at = next];
    }
  }
  for (const auto& [at, count] : checks) {
    CHECK(at % (250 * kMillisecond) == 0);
    CHECK(count <= 25);
  }
}
