// TERM, INT and HUP as something to poll. Made before any other thread, which inherits the mask.
#pragma once

#include "base/unique_fd.hpp"

namespace inotifier::forward {

class StopSignals {
 public:
  /// Throws SetupError.
  StopSignals();
  int fd() const { return fd_.get(); }
  /// How often we were asked to stop since the last call.
  int count() const;

 private:
  UniqueFd fd_;
};

}  // namespace inotifier::forward
