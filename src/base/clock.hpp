// The two clocks, read once per turn.
#pragma once

#include "inotifier/time.hpp"

namespace inotifier {

Now read_clocks();

}  // namespace inotifier
