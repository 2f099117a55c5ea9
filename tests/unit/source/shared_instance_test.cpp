#include "source/shared_instance.hpp"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "support/fake_fs.hpp"
#include "support/fake_notifier.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

constexpr std::uint32_t kMask = IN_CREATE | IN_DELETE;

class Member final : public SharedInstance::Member {
 public:
  void on_record(const Record& record, std::uint64_t position) override {
    if ((record.mask & IN_Q_OVERFLOW) != 0) told.emplace_back("overflow");
    if ((record.mask & IN_IGNORED) != 0) {
      told.emplace_back("ignored");
      wds.erase(record.wd);
    }
    if (!record.name.empty()) told.emplace_back(record.name);
    last_position = position;
  }
  void on_doubt(std::string_view reason) override { told.emplace_back(reason); }
  bool holds(int wd) const override { return wds.contains(wd); }
  bool is_there(int) override { return there; }
  void on_taken(int) override { told.emplace_back("taken"); }

  std::set<int> wds;
  bool there = true;
  std::uint64_t last_position = 0;
  std::vector<std::string> told;
};

struct Shared {
  Shared() {
    fs.make_directory("/a");
    fs.make_directory("/b");
    instance.join(one);
    instance.join(two);
  }
  int watch(Member& member, const std::string& path, std::uint32_t mask = kMask) {
    const int handle = fs.open_root(path);
    const int wd = instance.add_watch(member, handle, mask);
    fs.close(handle);
    if (wd >= 0) member.wds.insert(wd);
    return wd;
  }
  void write(const std::string& path) { fs.close_file(fs.open_file(path, {.create = true})); }
  void read() {
    const std::uint64_t position = notifier.position();
    const auto bytes = notifier.read();
    instance.on_bytes(bytes, position);
  }

  FakeFs fs;
  FakeNotifier notifier{fs, IN_ONLYDIR, 1000};
  SharedInstance instance{notifier};
  Member one;
  Member two;
};

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("shared instance: each record goes to the watch that holds its wd") {
  Shared shared;
  CHECK(shared.instance.handled_bytes() == 1000);
  shared.watch(shared.one, "/a");
  shared.watch(shared.two, "/b");
  shared.write("/a/x");
  shared.write("/b/y");
  shared.write("/a/z");
  shared.read();
  CHECK(shared.one.told == Told{"x", "z"});
  CHECK(shared.two.told == Told{"y"});
  CHECK(shared.one.last_position == 1000 + 64);
  CHECK(shared.instance.handled_bytes() == 1000 + 96);
  CHECK(shared.instance.queued_bytes() == 1000 + 96);
}

TEST_CASE("shared instance: an overflow concerns all") {
  Shared shared;
  shared.watch(shared.one, "/a");
  shared.notifier.limit(0);
  shared.write("/a/x");
  shared.read();
  CHECK(shared.one.told == Told{"overflow"});
  CHECK(shared.two.told == Told{"overflow"});
}

TEST_CASE("shared instance: a directory that two watches have is not shared, and keeps its mask") {
  Shared shared;
  const int wd = shared.watch(shared.one, "/a");
  CHECK(shared.watch(shared.two, "/a", IN_DELETE | IN_ATTRIB) == -EEXIST);
  shared.write("/a/x");
  shared.read();
  CHECK(shared.one.told == Told{"x"});
  CHECK(shared.two.told.empty());
  // Its own one it gets again, with another mask.
  CHECK(shared.watch(shared.one, "/a", IN_DELETE | IN_ATTRIB) == wd);
  shared.write("/a/y");
  shared.read();
  CHECK(shared.one.told == Told{"x"});
}

TEST_CASE(
    "shared instance: a directory that has left one watch is the other's, with a wd of its own") {
  Shared shared;
  const int wd = shared.watch(shared.one, "/a");
  shared.write("/a/before");
  shared.one.there = false;
  const int other = shared.watch(shared.two, "/a");
  CHECK(other >= 0);
  CHECK(other != wd);
  shared.write("/a/after");
  shared.read();
  CHECK(shared.one.told == Told{"taken", "before", "ignored"});
  CHECK(shared.two.told == Told{"after"});
}

TEST_CASE("shared instance: records of a watch that has left are nobody's, and no doubt") {
  Shared shared;
  const int wd = shared.watch(shared.one, "/a");
  shared.watch(shared.two, "/b");
  shared.write("/a/x");
  shared.notifier.remove_watch(wd);
  shared.instance.leave(shared.one, {wd});
  shared.read();
  CHECK(shared.one.told.empty());
  CHECK(shared.two.told.empty());
  shared.notifier.queue(wd, IN_CREATE, 0, "made up");
  shared.read();
  CHECK(shared.two.told == Told{"unknown_wd"});
}

TEST_CASE("shared instance: where nothing can be shared, the other watch needs its own") {
  class Old final : public Notifier {
   public:
    int add_watch(int, std::uint32_t mask) override {
      return (mask & IN_MASK_CREATE) != 0 ? -EINVAL : 1;
    }
    void remove_watch(int) override {}
    std::uint64_t queued_bytes() const override { return 0; }
  };
  Old notifier;
  SharedInstance instance(notifier);
  Member one;
  Member two;
  instance.join(one);
  CHECK(instance.add_watch(one, 0, kMask) == 1);
  instance.join(two);
  CHECK(instance.add_watch(two, 0, kMask) == -EEXIST);
}
