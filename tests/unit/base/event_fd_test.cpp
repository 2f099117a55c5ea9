#include "base/event_fd.hpp"

#include <doctest/doctest.h>
#include <poll.h>

using namespace inotifier;

TEST_CASE("an event descriptor is readable while it is raised") {
  const EventFd event;
  const auto readable = [&] {
    pollfd item{event.fd(), POLLIN, 0};
    return ::poll(&item, 1, 0) == 1;
  };
  CHECK(!readable());
  event.raise();
  event.raise();
  CHECK(readable());
  event.clear();
  CHECK(!readable());
}
