#include "cli/retry_schedule.hpp"

#include <doctest/doctest.h>

namespace inotifier {
namespace {

TEST_CASE("delays between tries double up to five minutes") {
  const RetrySchedule<int> schedule(kSecond);
  CHECK(schedule.delay_after(1) == kSecond);
  CHECK(schedule.delay_after(2) == 2 * kSecond);
  CHECK(schedule.delay_after(9) == 256 * kSecond);
  CHECK(schedule.delay_after(10) == 300 * kSecond);
  CHECK(schedule.delay_after(1'000'000) == 300 * kSecond);
  // Who asks for longer ones gets them.
  const RetrySchedule<int> slow(3600 * kSecond);
  CHECK(slow.delay_after(1) == 3600 * kSecond);
  CHECK(slow.delay_after(5) == 3600 * kSecond);
}

TEST_CASE("what waits for another try is taken in the order of its times") {
  RetrySchedule<int> schedule(kSecond);
  CHECK_FALSE(schedule.take(100));
  schedule.add(20, 2);
  schedule.add(10, 1);
  schedule.add(20, 3);
  CHECK(schedule.next() == 10);
  CHECK_FALSE(schedule.take(9));
  CHECK(schedule.take(20) == 1);
  CHECK(schedule.take(20) == 2);
  CHECK(schedule.take(20) == 3);
  CHECK(schedule.empty());
}

}  // namespace
}  // namespace inotifier
