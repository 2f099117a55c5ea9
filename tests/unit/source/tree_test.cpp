#include "source/tree.hpp"

#include <doctest/doctest.h>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

TEST_CASE("tree: a directory keeps its number when it is moved, and what it leaves is dropped") {
  SourceParts parts;
  parts.fs.make_directory("/w/a");
  parts.attach();
  parts.scan();
  const DirId a = parts.tree.table().child(kRootDir, "a");
  REQUIRE(a != kNoDir);
  CHECK(parts.tree.table().at(a).wd >= 0);
  parts.sink.take();

  parts.tree.detach(a);
  CHECK(parts.tree.deadline());
  parts.tree.on_moved({0, kRootDir, "a", "a", true}, {0, kRootDir, "b", "b", true});
  CHECK(parts.tree.table().child(kRootDir, "b") == a);
  CHECK_FALSE(parts.tree.table().at(a).detached);

  parts.tree.detach(a);
  parts.pass(MovePairing::kFromWait);
  parts.tree.on_time();
  CHECK(parts.sink.take() == std::vector<std::string>{"directory gone b"});
  CHECK_FALSE(parts.tree.table().is_alive(a));
  CHECK_FALSE(parts.tree.deadline());
}

TEST_CASE("tree: the kernel knows a directory again under another name") {
  SourceParts parts;
  parts.fs.make_directory("/w/a");
  parts.attach();
  parts.scan();
  const DirId a = parts.tree.table().child(kRootDir, "a");
  parts.fs.rename("/w/a", "/w/b", false);
  parts.scanner.take_in(kRootDir, "b", Origin::kNewDirectory);
  parts.scanner.slice(1000);
  CHECK(parts.tree.table().child(kRootDir, "b") == a);
  CHECK(parts.tree.table().child(kRootDir, "a") == kNoDir);
}

TEST_CASE("tree: out of watches, a directory is polled, told once") {
  SourceParts parts;
  for (const char* name : {"/w/a", "/w/b", "/w/c"}) parts.fs.make_directory(name);
  parts.fs.set_max_watches(2);
  parts.attach();
  parts.scan();
  CHECK(parts.tree.unwatched().size() == 2);
  CHECK(parts.sink.take() == std::vector<std::string>{"degraded watch_limit ", "watch.ready",
                                                      "scanned", "end of scan: test"});
}

TEST_CASE("tree: a volume that goes keeps its directories, without watches") {
  SourceParts parts;
  parts.fs.make_directory("/w/v");
  parts.fs.mount("/w/v");
  parts.attach();
  parts.scan();
  parts.sink.take();
  const DirId v = parts.tree.table().child(kRootDir, "v");
  parts.tree.on_unmounted("v");
  parts.tree.on_unmounted("v");
  CHECK(parts.tree.table().at(v).wd < 0);
  parts.tree.on_mounted("v");
  CHECK(parts.sink.take() == std::vector<std::string>{"watch.lost", "watch.restored"});
}
