#include "source/rescans.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

TEST_CASE("rescans: any number of doubts leave one due, with the stronger reason") {
  Rescans rescans;
  rescans.ask("poll", Origin::kPoll);
  rescans.ask("overflow", Origin::kOverflow);
  rescans.ask("mount", Origin::kRescan, false);
  REQUIRE(rescans.pending());
  const auto due = rescans.take(0);
  CHECK(due.reason == "overflow");
  CHECK(due.origin == Origin::kOverflow);
  CHECK_FALSE(due.absence_counts);
}

TEST_CASE("rescans: after one that does not count absence comes one that does, a second later") {
  Rescans rescans;
  rescans.ask("overflow", Origin::kOverflow);
  CHECK(rescans.take(kSecond).absence_counts);
  CHECK_FALSE(rescans.pending());
  rescans.ask("mount", Origin::kRescan, false);
  rescans.ask("overflow", Origin::kOverflow);
  CHECK_FALSE(rescans.take(100 * kSecond).absence_counts);
  rescans.ended(Origin::kRescan, 100 * kSecond);
  REQUIRE(rescans.pending());
  CHECK(rescans.due_at(100 * kSecond) == 101 * kSecond);
  CHECK(rescans.take(101 * kSecond).absence_counts);
  CHECK_FALSE(rescans.pending());
}

TEST_CASE("rescans: those that follow soon wait longer and longer, at most 30 s") {
  Rescans rescans;
  Nanos now = 100 * kSecond;
  Nanos waited = 0;
  for (const Nanos expected : {0, 1, 2, 4, 8, 16, 30, 30}) {
    rescans.ask("overflow", Origin::kOverflow);
    waited = rescans.due_at(now) - now;
    CHECK(waited == expected * kSecond);
    now += waited;
    rescans.take(now);
    rescans.ended(Origin::kOverflow, now);
    if (expected == 0) {
      rescans.ask("overflow", Origin::kOverflow);
      CHECK(rescans.due_at(now) == now);
      rescans.take(now);
      rescans.ended(Origin::kOverflow, now);
    }
  }
  now += 60 * kSecond;
  rescans.ask("overflow", Origin::kOverflow);
  rescans.take(now);
  rescans.ended(Origin::kOverflow, now);
  rescans.ask("overflow", Origin::kOverflow);
  CHECK(rescans.due_at(now) == now);
}

TEST_CASE("rescans: a poll never waits") {
  Rescans rescans;
  for (int i = 0; i < 3; ++i) {
    rescans.ask("overflow", Origin::kOverflow);
    rescans.take(kSecond);
    rescans.ended(Origin::kOverflow, kSecond);
  }
  rescans.ask("poll", Origin::kPoll);
  CHECK(rescans.due_at(kSecond) == kSecond);
}
