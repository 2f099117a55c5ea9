#include "endpoint/binding.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <zmq.hpp>

#include "base/error.hpp"
#include "support/sandbox.hpp"

using namespace inotifier;
using inotifier::testing::Sandbox;

TEST_CASE("binding: a socket whose path was removed is put there again") {
  const Sandbox sandbox(Sandbox::places()[0]);
  const std::string path = sandbox.path() + "/s";
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::rep);
  BoundSocket bound(socket, {"ipc://" + path}, "fetch", nullptr);
  REQUIRE(::unlink(path.c_str()) == 0);
  bound.restore_paths();
  CHECK(::access(path.c_str(), F_OK) == 0);
  zmq::socket_t client(context, zmq::socket_type::req);
  client.set(zmq::sockopt::linger, 0);
  client.connect("ipc://" + path);
  client.send(zmq::str_buffer("hello"));
  zmq::message_t message;
  CHECK(socket.recv(message).has_value());
}

TEST_CASE("binding: a socket that listens is not taken away, though its lock file is gone") {
  const Sandbox sandbox(Sandbox::places()[0]);
  const std::string path = sandbox.path() + "/s";
  zmq::context_t context;
  zmq::socket_t first(context, zmq::socket_type::rep);
  zmq::socket_t second(context, zmq::socket_type::rep);
  const BoundSocket bound(first, {"ipc://" + path}, "fetch", nullptr);
  REQUIRE(::unlink((path + ".lock").c_str()) == 0);
  CHECK_THROWS_AS(BoundSocket(second, {"ipc://" + path}, "fetch", nullptr), SetupError);
  CHECK(::access(path.c_str(), F_OK) == 0);
}
