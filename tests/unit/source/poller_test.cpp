#include "source/poller.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <cerrno>
#include <future>
#include <string>
#include <vector>

#include "support/sandbox.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

bool is_readable(int fd, int milliseconds = 0) {
  pollfd polled{fd, POLLIN, 0};
  return poll(&polled, 1, milliseconds) == 1;
}

PollResult numbered(std::size_t watch) {
  PollResult result;
  result.watch = watch;
  return result;
}

/// What a poller of this directory says first.
PollResult first_of(PollBox& box, Poller& poller, const std::string& root) {
  poller.start({3, kRootDir, root, true, [](std::string_view) { return true; }}, 3600 * kSecond);
  REQUIRE(is_readable(box.filled_fd(), 10'000));
  std::vector<PollResult> results;
  box.take(results);
  REQUIRE(results.size() == 1);
  return std::move(results[0]);
}

}  // namespace

TEST_CASE("poll box: one parcel a turn, in order, readable while there are more") {
  PollBox box;
  CHECK_FALSE(is_readable(box.filled_fd()));
  box.put(numbered(1));
  box.put(numbered(2));
  std::vector<PollResult> results;
  box.take(results);
  REQUIRE(results.size() == 1);
  CHECK(results[0].watch == 1);
  CHECK(is_readable(box.filled_fd()));
  box.take(results);
  CHECK(results.at(0).watch == 2);
  CHECK_FALSE(is_readable(box.filled_fd()));
  box.take(results);
  CHECK(results.empty());
}

TEST_CASE("poll box: a full one makes its poller wait, a closed one sends it away") {
  PollBox box;
  const auto fill = [&box] {
    std::size_t put = 0;
    while (put < 100 && box.put(numbered(put))) ++put;
    return put;
  };
  SUBCASE("taken") {
    auto filling = std::async(std::launch::async, fill);
    std::vector<PollResult> results;
    for (std::size_t taken = 0; taken < 100;) {
      REQUIRE(is_readable(box.filled_fd(), 10'000));
      box.take(results);
      if (!results.empty()) CHECK(results[0].watch == taken++);
    }
    CHECK(filling.get() == 100);
  }
  SUBCASE("closed") {
    auto filling = std::async(std::launch::async, fill);
    REQUIRE(is_readable(box.filled_fd(), 10'000));
    box.close();
    CHECK(filling.get() < 100);
    CHECK_FALSE(box.put({}));
  }
}

TEST_CASE("poller: says what the root is") {
  const Sandbox sandbox(Sandbox::places().front());
  PollBox box;
  Poller poller(box);
  SUBCASE("no remote volume any more") {
    const PollResult result = first_of(box, poller, sandbox.path());
    CHECK(result.unmounted);
    CHECK(result.watch == 3);
  }
  SUBCASE("gone") { CHECK(first_of(box, poller, sandbox.path() + "/no").root_error == ENOENT); }
  box.close();
}

TEST_CASE("poller: does not wait for its interval when it is told to hurry") {
  const Sandbox sandbox(Sandbox::places().front());
  PollBox box;
  Poller poller(box);
  first_of(box, poller, sandbox.path());
  poller.hurry();
  CHECK(is_readable(box.filled_fd(), 10'000));
  box.close();
}
