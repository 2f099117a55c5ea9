// Plays a script in a world and compares what was published with what the script expects.
#pragma once

#include <string>

#include "support/script.hpp"
#include "support/world.hpp"

namespace inotifier::testing {

/// "" if all went as the script says, otherwise what did not, ready to be shown.
std::string run_script(const Script& script, World& world);

}  // namespace inotifier::testing
