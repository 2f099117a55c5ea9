// A flag that one thread raises and another one polls: eventfd(2). Any thread.
#pragma once

#include "base/unique_fd.hpp"

namespace inotifier {

class EventFd {
 public:
  /// Throws SetupError.
  EventFd();

  /// Readable while it is raised.
  int fd() const { return fd_.get(); }
  void raise() const;
  void clear() const;

 private:
  UniqueFd fd_;
};

}  // namespace inotifier
