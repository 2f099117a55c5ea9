#include "serve/subscriptions.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace inotifier;

TEST_CASE("subscriptions: one connection cannot take more than its share, and may come back") {
  Subscriptions subscriptions;
  CHECK(!subscriptions.add("", 5));
  CHECK(!subscriptions.add("file.completed/in/", 5));
  CHECK(subscriptions.add(std::string(Subscriptions::kLongestTopic + 1, 'x'), 6) == 6);
  subscriptions.remove(std::string(Subscriptions::kLongestTopic + 1, 'x'));
  int added = 0;
  const auto topic = [](int i) { return std::to_string(i) + std::string(100, 'x'); };
  while (!subscriptions.add(topic(added), 7)) ++added;
  CHECK(added > 400);
  CHECK(added < 600);
  CHECK(!subscriptions.add("another", 5));
  for (int i = 0; i <= added; ++i) subscriptions.remove(topic(i));
  CHECK(!subscriptions.add(topic(0), 7));
}

TEST_CASE("subscriptions: when all together are too many, the largest connection is cut off") {
  Subscriptions subscriptions;
  const std::string tail(200, 'x');
  for (int i = 0; i < 250; ++i) REQUIRE(!subscriptions.add("big" + std::to_string(i) + tail, 3));
  std::optional<int> cut;
  for (int fd = 4; !cut; ++fd) {
    for (int i = 0; i < 100 && !cut; ++i) {
      cut = subscriptions.add(std::to_string(fd) + "-" + std::to_string(i) + tail, fd);
    }
  }
  CHECK(cut == 3);
  CHECK(subscriptions.bytes() > Subscriptions::kBytesInAll);
}
