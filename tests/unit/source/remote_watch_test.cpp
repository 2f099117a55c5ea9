#include "source/remote_watch.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

using Lines = std::vector<std::string>;

struct Polled {
  void see(const std::vector<std::string>& paths, int root_error = 0) {
    PollResult result;
    for (const std::string& path : paths) result.files.push_back({path, {}});
    result.end_of_round = true;
    result.root_error = root_error;
    watch.begin_turn(now);
    watch.on_poll_result(result);
  }

  RecordingSink sink;
  int hurries = 0;
  Now now{kSecond, kSecond};
  RemoteWatch watch{
      {[](const std::vector<std::string>&) {}, [this] { ++hurries; }, [] { return Nanos(0); }},
      sink};
};

}  // namespace

TEST_CASE("remote watch: ready and scanned when its poller has seen all") {
  Polled polled;
  CHECK_FALSE(polled.watch.is_ready());
  polled.see({"a", "d/b"});
  CHECK(polled.watch.is_ready());
  CHECK(polled.sink.take() ==
        Lines{"found a", "found d/b", "watch.ready", "scanned", "end of scan: startup"});
  polled.see({"a"});
  CHECK(polled.sink.take() == Lines{"found a"});
}

TEST_CASE("remote watch: a rescan is the next round, which hurries") {
  Polled polled;
  polled.see({});
  polled.sink.take();
  polled.watch.rescan("signal", Origin::kRescan, true);
  CHECK(polled.hurries == 1);
  polled.see({"a"});
  CHECK(polled.sink.take() == Lines{"found a", "end of scan: signal"});
  polled.see({"a"});
  CHECK(polled.sink.take() == Lines{"found a"});
}

TEST_CASE("remote watch: a volume that cannot be opened is lost and is not ready") {
  Polled polled;
  polled.see({}, ENOTCONN);
  CHECK(polled.watch.is_lost());
  CHECK_FALSE(polled.watch.is_ready());
  polled.see({"a"});
  CHECK_FALSE(polled.watch.is_lost());
  CHECK(polled.sink.take() == Lines{"watch.lost", "watch.restored", "found a", "watch.ready",
                                    "scanned", "end of scan: startup"});
}

TEST_CASE("remote watch: paths are known, and nothing on the disk is asked for") {
  Polled polled;
  polled.see({"d/b"});
  std::string path;
  const DirId dir = polled.watch.directories().find("d");
  REQUIRE(dir != kNoDir);
  CHECK(polled.watch.path(dir, "b", path));
  CHECK(path == "d/b");
  Stat stat;
  CHECK(polled.watch.stat(dir, "b", stat) == EAGAIN);
  CHECK(polled.watch.stat_path("d/b", stat) == EAGAIN);
  CHECK(polled.watch.writer(dir, "b", stat) == Files::Writer::kUnknown);
  CHECK_FALSE(polled.watch.keeps_inodes());
}
