#include "state/watch_table.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace inotifier;

namespace {

std::string path_of(const WatchTable& table, DirId dir) {
  std::string path;
  return table.path(dir, path) ? path : "?";
}

}  // namespace

TEST_CASE("watch table: paths follow the tree") {
  WatchTable table;
  CHECK(path_of(table, kRootDir).empty());
  const DirId a = table.add(kRootDir, "a");
  const DirId b = table.add(a, "b");
  const DirId c = table.add(b, "c");
  CHECK(path_of(table, c) == "a/b/c");
  CHECK(table.child(a, "b") == b);
  CHECK(table.child(kRootDir, "b") == kNoDir);
  CHECK(table.count() == 4);
  table.attach(b, kRootDir, "ab");
  CHECK(path_of(table, c) == "ab/c");
  CHECK(table.child(a, "b") == kNoDir);
  CHECK(table.child(kRootDir, "ab") == b);
}

TEST_CASE("watch table: /a is not above /ab") {
  WatchTable table;
  const DirId a = table.add(kRootDir, "a");
  const DirId ab = table.add(kRootDir, "ab");
  const DirId below = table.add(ab, "c");
  CHECK(table.is_below(below, ab));
  CHECK(table.is_below(ab, ab));
  CHECK(table.is_below(below, kRootDir));
  CHECK_FALSE(table.is_below(below, a));
}

TEST_CASE("watch table: below a detached directory no path is known") {
  WatchTable table;
  const DirId a = table.add(kRootDir, "a");
  const DirId b = table.add(a, "b");
  table.detach(a);
  CHECK(path_of(table, b) == "?");
  CHECK(table.child(kRootDir, "a") == kNoDir);
  const DirId other = table.add(kRootDir, "a");
  CHECK(other != a);
  CHECK(path_of(table, other) == "a");
  table.attach(a, other, "in");
  CHECK(path_of(table, b) == "a/in/b");
}

TEST_CASE("watch table: a descriptor belongs to one directory") {
  WatchTable table;
  const DirId a = table.add(kRootDir, "a");
  CHECK(table.by_wd(7) == kNoDir);
  table.bind(a, 7);
  CHECK(table.by_wd(7) == a);
  CHECK(table.watched() == 1);
  table.bind(a, 8);
  CHECK(table.by_wd(7) == kNoDir);
  CHECK(table.by_wd(8) == a);
  table.remove(a);
  CHECK(table.by_wd(8) == kNoDir);
  CHECK(table.watched() == 0);
  CHECK(table.count() == 1);
}

TEST_CASE("watch table: a removed descriptor is retired until its IN_IGNORED") {
  WatchTable table;
  table.retire(5);
  CHECK(table.is_retired(5));
  CHECK_FALSE(table.is_retired(6));
  table.ignored(5);
  CHECK_FALSE(table.is_retired(5));
}

TEST_CASE("watch table: a number that is used again is told apart") {
  WatchTable table;
  const DirId a = table.add(kRootDir, "a");
  const auto before = table.at(a).generation;
  table.remove(a);
  const DirId b = table.add(kRootDir, "b");
  CHECK(b == a);
  CHECK(table.at(b).generation != before);
  CHECK(table.at(b).wd == -1);
  CHECK(table.at(b).first_child == kNoDir);
}

TEST_CASE("watch table: ten thousand siblings come and go") {
  WatchTable table;
  constexpr int kCount = 10'000;
  for (int i = 0; i < kCount; ++i) table.add(kRootDir, std::to_string(i));
  for (int i = 0; i < kCount; i += 2) table.remove(table.child(kRootDir, std::to_string(i)));
  CHECK(table.count() == kCount / 2 + 1);
  for (int i = 0; i < kCount; ++i) {
    const DirId dir = table.child(kRootDir, std::to_string(i));
    REQUIRE((dir == kNoDir) == (i % 2 == 0));
  }
  int siblings = 0;
  for (DirId at = table.at(kRootDir).first_child; at != kNoDir; at = table.at(at).next_sibling) {
    ++siblings;
  }
  CHECK(siblings == kCount / 2);
}

TEST_CASE("watch table: a wd has one holder") {
  WatchTable table;
  const DirId a = table.add(kRootDir, "a");
  table.bind(a, 7);
  table.bind(kRootDir, 7);
  CHECK(table.by_wd(7) == kRootDir);
  CHECK(table.at(a).wd < 0);
  table.unbind(a);
  CHECK(table.by_wd(7) == kRootDir);
}

TEST_CASE("watch table: what is set aside has no path, and is found again at its place") {
  WatchTable table;
  const DirId place = table.add(kRootDir, "d");
  const DirId below = table.add(place, "e");
  table.set_aside(place);
  const DirId other = table.add(kRootDir, "d");
  table.set_aside(other);
  std::string path;
  CHECK_FALSE(table.path(below, path));
  CHECK(table.child(kRootDir, "d") == kNoDir);
  CHECK(table.is_aside(below));
  CHECK(table.asides().size() == 3);
  const auto is = [&](DirId dir) {
    return [&table, dir](const WatchTable::Directory& at) { return &at == &table.at(dir); };
  };
  CHECK(table.find_aside(kRootDir, "d", is(place)) == place);
  CHECK(table.find_aside(kRootDir, "d", is(other)) == other);
  CHECK(table.find_aside(kRootDir, "e", is(place)) == kNoDir);
  table.attach(place, kRootDir, "d");
  REQUIRE(table.path(below, path));
  CHECK(path == "d/e");
  CHECK(table.asides().size() == 1);
  table.remove(other);
  CHECK(table.asides().empty());
}
