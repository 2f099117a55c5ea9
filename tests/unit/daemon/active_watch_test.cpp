#include "daemon/active_watch.hpp"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "daemon/pipeline.hpp"
#include "support/fake_fs.hpp"
#include "support/fake_notifier.hpp"

namespace inotifier {
namespace {

/// A pipeline over a file system without leases.
struct NoLeases {
  NoLeases() { fs.make_directory("/w"); }

  void add(const std::string& path) {
    WatchConfig watch;
    watch.name = path.substr(1);
    watch.path = path;
    watch.events = {"watch.lost", "watch.degraded"};
    watch.require_lease = true;
    pipeline.add_watch(watch, &instance);
  }

  void turn(Nanos after = 0) {
    now.mono += after;
    now.wall += after;
    fs.set_time(now);
    pipeline.step(now, {});
  }

  bool told(std::string_view topic) const {
    return std::find(topics.begin(), topics.end(), topic) != topics.end();
  }

  Now now{1000 * kSecond, 1'700'000'000 * kSecond};
  testing::FakeFs fs{{.traits = {"odd", true, false, true, true}}};
  testing::FakeNotifier notifier{fs, IN_ONLYDIR | IN_EXCL_UNLINK};
  Journal journal{JournalOptions{}, now};
  std::vector<std::string> topics;
  Pipeline pipeline{fs, journal, [this](std::string_view topic, std::string_view) {
                      topics.emplace_back(topic);
                    }};
  SharedInstance& instance = pipeline.add_instance(0, notifier);
};

TEST_CASE("require_lease: the first answer of a root decides, however late it comes") {
  NoLeases world;
  world.fs.set_hang("/w", true);
  world.add("/w");
  world.turn();
  world.turn(kSecond);
  world.fs.set_hang("/w", false);
  CHECK_THROWS_AS(world.turn(kMillisecond), SetupError);
}

TEST_CASE("require_lease: a root that comes when it was reported lost does not end the daemon") {
  NoLeases world;
  world.fs.set_hang("/w", true);
  world.add("/w");
  world.turn();
  world.turn(10 * kSecond);
  CHECK(world.told("watch.lost/w/"));
  world.fs.set_hang("/w", false);
  world.turn(kMillisecond);
  CHECK(world.told("watch.degraded/w/"));
}

TEST_CASE("require_lease: a watch that a reload adds does not end the daemon") {
  NoLeases world;
  world.turn();
  world.add("/w");
  world.turn();
  CHECK(world.told("watch.degraded/w/"));
}

}  // namespace
}  // namespace inotifier
