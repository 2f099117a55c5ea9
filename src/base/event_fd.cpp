#include "base/event_fd.hpp"

#include <sys/eventfd.h>

#include <cerrno>

#include "base/error.hpp"

namespace inotifier {

EventFd::EventFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!fd_) throw SetupError(describe("eventfd", "", errno) + ": raise the limit of open files");
}

void EventFd::raise() const { ::eventfd_write(fd_.get(), 1); }

void EventFd::clear() const {
  eventfd_t value = 0;
  ::eventfd_read(fd_.get(), &value);
}

}  // namespace inotifier
