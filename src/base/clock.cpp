#include "base/clock.hpp"

#include <ctime>

namespace inotifier {
namespace {

Nanos read(clockid_t id) {
  timespec at{};
  clock_gettime(id, &at);
  return at.tv_sec * kSecond + at.tv_nsec;
}

}  // namespace

Now read_clocks() { return {read(CLOCK_MONOTONIC), read(CLOCK_REALTIME)}; }

}  // namespace inotifier
