// Random work on a small tree, and what must hold of the events whatever happened: every finished
// file is told in its last version, none while it is written, none twice, and a rescan finds
// nothing more.
#pragma once

#include <cstdint>
#include <string>

#include "support/fake_world.hpp"

namespace inotifier::testing {

struct StormOptions {
  std::uint32_t seed = 0;
  int operations = 60;
  bool overflows = true;  ///< and rescans
  bool directories = true;
  bool kills = false;  ///< besides: the daemon is killed and started again
};

/// "" if all holds, otherwise what does not and the operations that led there.
std::string run_storm(FakeWorld& world, const StormOptions& options);

}  // namespace inotifier::testing
