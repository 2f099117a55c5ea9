#include "serve/fetch_socket.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <zmq.hpp>

#include "inotifier/wire.hpp"
#include "serve/fetch_service.hpp"
#include "serve/limits.hpp"
#include "support/fetch_world.hpp"
#include "support/kept_journal.hpp"
#include "support/sandbox.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

/// A service behind a real socket, and a client of it.
struct SocketWorld : KeptJournal, FetchWorld {
  SocketWorld() : FetchWorld(KeptJournal::path()) {
    service = std::make_unique<FetchService>(
        *journal, "1.2.3", now,
        [this](const Route& route, std::string_view body) { socket.send(route, body); });
    client = connect();
  }

  zmq::socket_t connect() {
    zmq::socket_t made(context, zmq::socket_type::dealer);
    made.set(zmq::sockopt::linger, 0);
    made.connect(socket.endpoints()[0]);
    return made;
  }

  /// Serves until a reply has come to `from`; its frames, the last one is the body.
  std::vector<std::string> reply_to(zmq::socket_t& from) {
    for (int i = 0; i < 1000; ++i) {
      wanted = socket.serve(*service, now);
      zmq::pollitem_t item{from.handle(), 0, ZMQ_POLLIN, 0};
      if (zmq_poll(&item, 1, 5) > 0) break;
    }
    std::vector<std::string> frames;
    for (bool more = true; more;) {
      zmq::message_t frame;
      if (!from.recv(frame, zmq::recv_flags::dontwait)) break;
      frames.push_back(frame.to_string());
      more = frame.more();
    }
    return frames;
  }
  void send_hello(zmq::socket_t& from, std::int64_t id, zmq::send_flags flags = {}) {
    from.send(zmq::buffer(encode_value(Value(Value::Map{{"op", "hello"}, {"request", id}}))),
              flags);
  }

  zmq::context_t context;
  FetchSocket socket{context, {"tcp://127.0.0.1:*"}, nullptr};
  zmq::socket_t client;
  std::optional<Nanos> wanted;
};

}  // namespace

TEST_CASE("fetch socket: a request is answered to the peer it came from, its frames repeated") {
  SocketWorld world;
  auto other = world.connect();
  world.client.send(zmq::str_buffer("frame"), zmq::send_flags::sndmore);
  world.send_hello(world.client, 7);
  const auto frames = world.reply_to(world.client);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0] == "frame");
  const Value reply = decode_value(frames[1]);
  CHECK(*reply.find("request")->integer() == 7);
  CHECK(*reply.find("ok") == Value(true));
  world.send_hello(other, 8);
  CHECK(*decode_value(world.reply_to(other).back()).find("request")->integer() == 8);
}

TEST_CASE("fetch socket: too many frames are counted and not answered") {
  SocketWorld world;
  for (std::size_t i = 0; i <= kMaxFrames; ++i) {
    world.client.send(zmq::str_buffer("x"), zmq::send_flags::sndmore);
  }
  world.send_hello(world.client, 1);
  world.send_hello(world.client, 2);
  CHECK(*decode_value(world.reply_to(world.client).back()).find("request")->integer() == 2);
  CHECK(world.service->malformed() == 1);
}

TEST_CASE("fetch socket: requests beyond a turn's work are asked for at once") {
  SocketWorld world;
  constexpr int kMany = 200;
  for (int i = 0; i < kMany; ++i) world.send_hello(world.client, i);
  int turns_with_rest = 0;
  for (int i = 0; i < kMany; ++i) {
    const auto frames = world.reply_to(world.client);
    REQUIRE(!frames.empty());
    CHECK(*decode_value(frames.back()).find("request")->integer() == i);
    if (world.wanted == world.now.mono) ++turns_with_rest;
  }
  CHECK(turns_with_rest > 0);
}

TEST_CASE("fetch socket: a peer that does not read keeps nobody from being answered") {
  SocketWorld world;
  world.emit("file.completed", "in", 300, std::string(20'000, 'x'));
  auto lazy = world.connect();
  lazy.set(zmq::sockopt::rcvhwm, 1);
  const Value::Map read{{"op", "fetch"}, {"after", "0"}, {"limit", 4096}};
  for (int i = 0; i < 60; ++i) lazy.send(zmq::buffer(encode_value(Value(read))));
  for (int i = 0; i < 100; ++i) {
    world.send_hello(world.client, i);
    const auto frames = world.reply_to(world.client);
    REQUIRE(!frames.empty());
    CHECK(*decode_value(frames.back()).find("request")->integer() == i);
  }
}
