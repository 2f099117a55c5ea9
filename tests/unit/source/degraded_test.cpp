#include "source/degraded.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace inotifier;
using Reason = Degraded::Reason;

TEST_CASE("degraded: each reason once for each path") {
  DegradedLog log;
  CHECK(log.add({Reason::kUnreadable, "a", "x"}));
  CHECK_FALSE(log.add({Reason::kUnreadable, "a", "y"}));
  CHECK(log.add({Reason::kUnreadable, "b", "x"}));
  CHECK(log.add({Reason::kNoLease, "", "x"}));
  CHECK(log.reasons() == std::vector<std::string>{"no_lease", "unreadable"});
}

TEST_CASE("degraded: many paths of one reason do not hide another reason") {
  DegradedLog log;
  std::size_t told = 0;
  for (std::size_t i = 0; i < 2 * DegradedLog::kMostPaths; ++i) {
    if (log.add({Reason::kUnreadable, std::to_string(i), ""})) ++told;
  }
  CHECK(told == DegradedLog::kMostPaths);
  CHECK(log.add({Reason::kNoLease, "", ""}));
}
