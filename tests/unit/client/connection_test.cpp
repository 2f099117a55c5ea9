// Clients whose key is taken away after they have connected: a service that asks for keys, as the
// daemon's sockets do, and answers every request alike.
#include "client/connection.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <zmq.hpp>

#include "base/curve_keys.hpp"
#include "endpoint/binding.hpp"
#include "endpoint/security.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"
#include "wire/heartbeat.hpp"

using namespace inotifier;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Reason = ConnectionError::Reason;
using State = Consumer::State;

namespace {

constexpr milliseconds kSoon{20'000};  // a deadline, never waited out in a test that passes
constexpr milliseconds kTurn{20};

/// A daemon's and a client's keys; the client's public one lies where the daemon looks, or beside.
class Keys {
 public:
  Keys() {
    char name[] = "/tmp/inotifier-refused-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    std::filesystem::create_directory(path_ + "/clients");
    auto worker = make_curve_keys();
    worker.metadata["access"] = "all";
    const auto server = make_curve_keys();
    write("server.key", public_file_text(server));
    write("server.key_secret", secret_file_text(server));
    write("worker.key_secret", secret_file_text(worker));
    write("clients/worker.key", public_file_text(worker));
  }
  ~Keys() { std::filesystem::remove_all(path_); }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  void take_away() const {
    std::filesystem::rename(path_ + "/clients/worker.key", path_ + "/worker.key");
  }
  void give_back() const {
    std::filesystem::rename(path_ + "/worker.key", path_ + "/clients/worker.key");
  }
  Config::Security config() const {
    Config::Security security;
    security.server_key = path_ + "/server.key_secret";
    security.clients = path_ + "/clients";
    return security;
  }
  void set(Connection& connection, const std::string& endpoint) const {
    connection.endpoint = endpoint;
    connection.server_key = path_ + "/server.key";
    connection.key = path_ + "/worker.key_secret";
  }

 private:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + '/' + name) << text;
    std::filesystem::permissions(path_ + '/' + name, std::filesystem::perms(0600));
  }

  std::string path_;
};

/// One socket of a daemon, on a thread: PUB with heartbeats, or ROUTER.
class Service {
 public:
  Service(const Keys& keys, zmq::socket_type type) : keys_(keys), type_(type) {
    start("tcp://127.0.0.1:*");
  }
  ~Service() { stop(); }

  void stop() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// At the same place.
  void start_again() { start(endpoint); }

  std::string endpoint;
  std::atomic<int> refusals = 0;

 private:
  void start(const std::string& where) {
    over_ = false;
    context_.emplace();
    security_.emplace(*context_, keys_.config());
    socket_ = zmq::socket_t(*context_, type_);
    socket_.set(zmq::sockopt::linger, 0);
    monitor_.emplace(*context_, socket_);
    bound_.emplace(socket_, std::vector{where}, "fetch", &*security_);
    endpoint = bound_->endpoints()[0];
    thread_ = std::thread([this] {
      while (!over_) turn();
      bound_.reset();
      monitor_.reset();
      socket_.close();
      security_.reset();
      context_.reset();
    });
  }

  void turn() {
    while (const int event = monitor_->next(Clock::now())) {
      if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) ++refusals;
    }
    if (type_ == zmq::socket_type::pub) {
      socket_.send(zmq::buffer(kHeartbeatTopic), zmq::send_flags::sndmore);
      const std::string body = encode_heartbeat("s", "0", 0, {});
      socket_.send(zmq::buffer(body), zmq::send_flags::none);
      std::this_thread::sleep_for(milliseconds(2));
      return;
    }
    zmq_pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, 2) <= 0) return;
    zmq::message_t peer;
    zmq::message_t body;
    if (!socket_.recv(peer) || !socket_.recv(body)) return;
    const Value request = decode_value(body.to_string_view());
    const std::string reply = encode_value(Value::Map{{"ok", true},
                                                      {"protocol", 1},
                                                      {"request", *request.find("request")},
                                                      {"stream", "s"},
                                                      {"cursor", position_text(1)},
                                                      {"behind", 0},
                                                      {"events", Value::Array{}}});
    socket_.send(peer, zmq::send_flags::sndmore);
    socket_.send(zmq::buffer(reply), zmq::send_flags::none);
  }

  const Keys& keys_;
  zmq::socket_type type_;
  std::optional<zmq::context_t> context_;
  std::optional<Security> security_;
  zmq::socket_t socket_;
  std::optional<Monitor> monitor_;
  std::optional<BoundSocket> bound_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// The first error of a call that is made again and again.
ConnectionError error_of(const std::function<void()>& call) {
  const auto deadline = Clock::now() + kSoon;
  while (Clock::now() < deadline) {
    try {
      call();
    } catch (const ConnectionError& error) {
      return error;
    }
  }
  FAIL("no error");
  return {Reason::kNoAnswer, ""};
}

void check_refused(const ConnectionError& error, const std::string& endpoint) {
  CHECK(error.reason == Reason::kHandshakeRefused);
  CHECK(std::string(error.what()).starts_with(endpoint + ": the peer refuses our keys"));
}

template <typename F>
bool comes(F&& condition) {
  const auto deadline = Clock::now() + kSoon;
  while (!condition()) {
    if (Clock::now() > deadline) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a subscriber whose key is taken away says so from then on") {
  const Keys keys;
  Service service(keys, zmq::socket_type::pub);
  Subscriber::Options options;
  keys.set(options, service.endpoint);
  Subscriber subscriber(options);
  REQUIRE(comes([&] { return !subscriber.next(kTurn) && subscriber.live(); }));
  service.stop();
  CHECK_FALSE(subscriber.next(kTurn));
  keys.take_away();
  service.start_again();
  check_refused(error_of([&] { subscriber.next(kTurn); }), service.endpoint);
  check_refused(error_of([&] { subscriber.next(milliseconds(-1)); }), service.endpoint);
}

TEST_CASE("a consumer whose key is taken away says so, and goes on when it is given back") {
  const Keys keys;
  Service service(keys, zmq::socket_type::router);
  Consumer::Options options;
  keys.set(options, service.endpoint);
  options.name = "c";
  Consumer consumer(options);
  REQUIRE(comes([&] { return !consumer.next(kTurn) && consumer.state() == State::kOwner; }));
  service.stop();
  keys.take_away();
  service.start_again();
  check_refused(error_of([&] { consumer.next(kTurn); }), service.endpoint);
  CHECK(consumer.state() == State::kDisconnected);
  check_refused(error_of([&] { consumer.keep_alive(kTurn); }), service.endpoint);
  keys.give_back();
  CHECK(comes([&] {
    try {
      consumer.next(kTurn);
    } catch (const ConnectionError&) {  // of before
    }
    return consumer.state() == State::kOwner;
  }));
}

TEST_CASE("a requester whose key is taken away says so, and goes on when it is given back") {
  const Keys keys;
  Service service(keys, zmq::socket_type::router);
  Connection connection;
  keys.set(connection, service.endpoint);
  Requester requester(connection);
  service.stop();
  keys.take_away();
  service.start_again();
  check_refused(error_of([&] {
                  try {
                    requester.request("status");
                  } catch (const ConnectionError& error) {
                    if (error.reason != Reason::kNoAnswer) throw;  // the connection was lost first
                  }
                }),
                service.endpoint);
  // Its new connection is refused as well, before the key is back: that is no answer to what is
  // asked after it.
  CHECK(comes([&] { return service.refusals >= 2; }));
  keys.give_back();
  CHECK_NOTHROW(requester.request("status"));
}
