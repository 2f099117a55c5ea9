#include "source/scanner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

using Lines = std::vector<std::string>;

TEST_CASE("scanner: an unknown tree is watched first, then its files are listed") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  parts.write("/w/f");
  parts.write("/w/d/g");
  parts.attach();
  parts.scan();
  CHECK(parts.sink.take() ==
        Lines{"watch.ready", "found f", "found d/g", "scanned", "end of scan: test"});
  CHECK(parts.scanner.is_ready());
  CHECK(parts.fs.open_handles() == 1);  // the root, until the end of the turn
}

TEST_CASE("scanner: a slice is no longer than its units") {
  SourceParts parts;
  for (int i = 0; i < 100; ++i) parts.write("/w/f" + std::to_string(i));
  parts.attach();
  parts.scanner.begin_scan({"test", Origin::kStartup, true});
  int slices = 1;
  while (parts.scanner.slice(10)) ++slices;
  CHECK(slices > 20);  // two passes
  CHECK(parts.sink.take().size() == 103);
}

TEST_CASE("scanner: held, directories are watched but files are not listed") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  parts.write("/w/d/g");
  parts.attach();
  parts.scanner.set_room(0);
  parts.scan();
  CHECK(parts.sink.take() == Lines{"watch.ready"});
  CHECK(parts.notifier.watches() == 2);
  parts.scanner.set_room(1000);
  while (parts.scanner.slice(1000)) continue;
  CHECK(parts.sink.take() == Lines{"found d/g", "scanned", "end of scan: test"});
}

TEST_CASE("scanner: a listing that room ends is made again, whole") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  for (int i = 0; i < 20; ++i) parts.write("/w/f" + std::to_string(i));
  parts.write("/w/d/g");
  parts.attach();
  parts.scan();
  parts.sink.take();
  parts.scanner.begin_scan({"test", Origin::kRescan, true});
  parts.scanner.set_room(5);
  CHECK(parts.scanner.slice(1000));  // there may be room in the next turn
  const std::size_t before = parts.sink.take().size();
  CHECK(before >= 4);  // one of the five is a directory, perhaps
  CHECK(before <= 5);
  parts.scanner.set_room(0);
  CHECK_FALSE(parts.scanner.slice(1000));
  CHECK(parts.sink.take().empty());
  parts.scanner.set_room(1000);
  while (parts.scanner.slice(1000)) continue;
  const Lines lines = parts.sink.take();
  CHECK(lines.size() == 23);
  CHECK(std::count(lines.begin(), lines.end(), "found f7") == 1);
  CHECK(std::count(lines.begin(), lines.end(), "found d/g") == 1);
}

TEST_CASE("scanner: what a scan does not find is dropped at its end") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  parts.attach();
  parts.scan();
  parts.sink.take();
  parts.fs.remove_directory("/w/d");
  parts.scan();
  CHECK(parts.sink.take() == Lines{"directory gone d", "scanned", "end of scan: test"});
}

TEST_CASE("scanner: a directory dropped while it is listed ends its listing") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  for (int i = 0; i < 100; ++i) parts.write("/w/d/f" + std::to_string(i));
  parts.attach();
  parts.scan();
  parts.sink.take();
  parts.scanner.take_in(kRootDir, "d", Origin::kNewDirectory);
  parts.scanner.slice(10);
  parts.tree.drop(parts.tree.table().child(kRootDir, "d"));
  CHECK_FALSE(parts.scanner.slice(1000));
  CHECK(parts.sink.take().size() < 20);
  CHECK(parts.fs.open_handles() == 1);
}

TEST_CASE("scanner: a directory that leaves while it is listed does not hold up the scan") {
  SourceParts parts;
  parts.fs.make_directory("/w/d");
  parts.fs.make_directory("/w/e");
  for (int i = 0; i < 100; ++i) parts.write("/w/d/f" + std::to_string(i));
  parts.write("/w/e/g");
  parts.attach();
  parts.scanner.begin_scan({"test", Origin::kStartup, true});
  while (parts.sink.lines.size() < 5) parts.scanner.slice(10);
  parts.fs.rename("/w/d", "/out", false);
  parts.tree.detach(parts.tree.table().child(kRootDir, "d"));
  while (parts.scanner.slice(10)) continue;
  CHECK(parts.sink.take().back() == "end of scan: test");
}

TEST_CASE("scanner: a directory removed before it is listed is no trouble") {
  SourceParts parts;
  parts.attach();
  parts.scan();
  parts.fs.make_directory("/w/d");
  const int handle = parts.fs.open_directory(parts.root.open(), "d");
  parts.fs.remove_directory("/w/d");
  parts.scanner.take_in(kRootDir, "d", Origin::kNewDirectory);
  while (parts.scanner.slice(1000)) continue;
  for (const std::string& line : parts.sink.take()) CHECK_FALSE(line.starts_with("degraded"));
  parts.fs.close(handle);
}

TEST_CASE("scanner: a root that cannot be opened for want of descriptors is scanned again") {
  SourceParts parts;
  parts.write("/w/f");
  parts.attach();
  REQUIRE(parts.root.open() >= 0);
  parts.fs.set_fault("/w", FakeCall::kOpen, EMFILE, 1);
  parts.scan();
  CHECK(parts.rescans.pending());
  const Lines lines = parts.sink.take();
  CHECK(std::count(lines.begin(), lines.end(), "degraded shortage ") == 1);
}
