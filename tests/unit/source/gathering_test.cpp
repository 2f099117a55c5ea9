#include "source/gathering.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

namespace {

constexpr Nanos kStart = 5 * kSecond;

}  // namespace

TEST_CASE("gathering: what comes after idleness is not held up, nor are the records of one file") {
  Gathering gathering;
  Nanos now = kStart;
  for (int file = 0; file < 100; ++file) {
    for (int record = 0; record < Gathering::kAtOnce; ++record) {
      CHECK(gathering.on_emptied(now) == 0);
      now += 50 * kMicrosecond;
    }
    now += Gathering::kAtOnce * Gathering::kInterval;
  }
}

TEST_CASE("gathering: wake-ups that are an interval apart are never held up") {
  Gathering gathering;
  for (Nanos now = kStart; now < kStart + kSecond; now += Gathering::kInterval) {
    CHECK(gathering.on_emptied(now) == 0);
  }
}

TEST_CASE("gathering: under load there is one wake-up an interval, and no pause is longer") {
  Gathering gathering;
  Nanos now = kStart;
  int wake_ups = 0;
  for (; now < kStart + 100 * Gathering::kInterval; ++wake_ups) {
    now += 10 * kMicrosecond;  // the reading
    const Nanos pause = gathering.on_emptied(now);
    CHECK(pause <= Gathering::kInterval);
    now += pause;
  }
  CHECK(wake_ups >= 100);
  CHECK(wake_ups <= 100 + Gathering::kAtOnce);
}

TEST_CASE("gathering: a load that ends leaves nothing behind") {
  Gathering gathering;
  Nanos now = kStart;
  for (int i = 0; i < 1000; ++i) now += gathering.on_emptied(now);
  now += Gathering::kAtOnce * Gathering::kInterval;
  for (int record = 0; record < Gathering::kAtOnce; ++record) {
    CHECK(gathering.on_emptied(now) == 0);
  }
}
