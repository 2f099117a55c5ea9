// What one call of a processor has at hand. On the stack of that call; pipeline thread.
#pragma once

#include "inotifier/processor.hpp"

namespace inotifier {

struct Context {
  const Now& now;
  Files& files;
  Out& out;
  Origin origin = Origin::kLive;
};

}  // namespace inotifier
