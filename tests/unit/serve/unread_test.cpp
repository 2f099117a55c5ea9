#include "serve/unread.hpp"

#include <doctest/doctest.h>
#include <zmq.h>

#include <string>

using namespace inotifier;

TEST_CASE("unread: a message counts for its peer and in all until it is given back") {
  Unread unread;
  zmq_msg_t first;
  zmq_msg_t second;
  REQUIRE(unread.make(first, "a", std::string(5000, 'x')));
  REQUIRE(unread.make(second, "b", std::string(7000, 'y')));
  CHECK(zmq_msg_size(&first) == 5000);
  CHECK(*static_cast<const char*>(zmq_msg_data(&second)) == 'y');
  CHECK(unread.bytes() == 12'000);
  CHECK(unread.has("a"));
  zmq_msg_close(&first);
  CHECK(unread.bytes() == 7000);
  CHECK_FALSE(unread.has("a"));
  CHECK(unread.has("b"));
  zmq_msg_close(&second);
  CHECK(unread.bytes() == 0);
}

TEST_CASE("unread: what libzmq gives back after the end is no trouble") {
  zmq_msg_t message;
  {
    Unread unread;
    REQUIRE(unread.make(message, "a", std::string(5000, 'x')));
  }
  CHECK(zmq_msg_close(&message) == 0);
}
