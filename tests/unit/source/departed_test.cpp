#include "source/departed.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

TEST_CASE("departed: taken by the place it left, the last one first") {
  WatchTable table;
  Departed departed(table);
  const DirId first = table.add(kRootDir, "a");
  departed.add(first, 10);
  const DirId second = table.add(kRootDir, "a");
  departed.add(second, 20);
  CHECK(departed.take(kRootDir, "b") == kNoDir);
  CHECK(departed.take(kRootDir, "a") == second);
  CHECK(departed.take(kRootDir, "a") == first);
  CHECK(departed.take(kRootDir, "a") == kNoDir);
}

TEST_CASE("departed: what does not turn up expires; what was given up, at once") {
  WatchTable table;
  Departed departed(table);
  const DirId a = table.add(kRootDir, "a");
  const DirId b = table.add(a, "b");
  departed.add(a, 10);
  CHECK(departed.last_path(b) == "a/b");
  CHECK(*departed.deadline() == 10);
  CHECK(departed.expire(9) == kNoDir);
  departed.give_up(kRootDir, "a", 5);
  CHECK(departed.expire(5) == a);
  CHECK_FALSE(departed.deadline());
}

TEST_CASE("departed: a directory that has a place again is not expired") {
  WatchTable table;
  Departed departed(table);
  const DirId a = table.add(kRootDir, "a");
  departed.add(a, 10);
  table.attach(a, kRootDir, "b");
  departed.forget(a);
  CHECK(departed.expire(10) == kNoDir);
  CHECK(departed.last_path(a) == "b");
}
