#include "serve/publisher.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <zmq.hpp>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

using namespace inotifier;

namespace {

/// A directory of its own, gone with it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/inotifier-publisher-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

/// A publisher with a context of its own.
class Publishing {
 public:
  Publishing(const std::vector<std::string>& endpoints, int high_water_mark)
      : publisher_(context_, endpoints, high_water_mark, nullptr) {}
  Publisher* operator->() { return &publisher_; }
  const Publisher* operator->() const { return &publisher_; }

 private:
  zmq::context_t context_;
  Publisher publisher_;
};

std::string message_of(const std::vector<std::string>& endpoints) {
  try {
    const Publishing publisher(endpoints, 10);
  } catch (const SetupError& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

unsigned mode_of(const std::string& path) {
  struct stat there {};
  REQUIRE(::lstat(path.c_str(), &there) == 0);
  return there.st_mode & 07777U;
}

}  // namespace

TEST_CASE("an ipc endpoint gets its directory, a socket of mode 0660 and a lock") {
  const TemporaryDirectory directory;
  const std::string path = directory / "new/deep/publish";
  const ::mode_t before = ::umask(0);
  {
    const Publishing publisher({"ipc://" + path}, 10);
    CHECK(publisher->endpoints() == std::vector<std::string>{"ipc://" + path});
    CHECK(mode_of(path) == 0660);
    CHECK(mode_of(path + ".lock") == 0600);
  }
  CHECK(::umask(before) == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a second daemon cannot take an ipc endpoint, a later one can") {
  const TemporaryDirectory directory;
  const std::string endpoint = "ipc://" + (directory / "publish");
  {
    const Publishing first({endpoint}, 10);
    CHECK(contains(message_of({endpoint}), "another inotifier publishes on " + endpoint));
    CHECK(mode_of(directory / "publish") == 0660);
  }
  CHECK_NOTHROW(Publishing({endpoint}, 10));
}

TEST_CASE("a socket that a killed daemon left is replaced") {
  const TemporaryDirectory directory;
  const std::string path = directory / "publish";
  {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  CHECK_NOTHROW(Publishing({"ipc://" + path}, 10));
}

TEST_CASE("a file that is no socket is left alone") {
  const TemporaryDirectory directory;
  const std::string path = directory / "publish";
  std::ofstream(path) << "precious";
  CHECK(contains(message_of({"ipc://" + path}), "is no socket"));
  CHECK(std::filesystem::file_size(path) == 8);
}

TEST_CASE("tcp endpoints tell the port they got, and two endpoints carry the same") {
  const TemporaryDirectory directory;
  const std::string ipc = "ipc://" + (directory / "publish");
  Publishing publisher({ipc, "tcp://127.0.0.1:*"}, 10);
  REQUIRE(publisher->endpoints().size() == 2);
  const std::string tcp = publisher->endpoints()[1];
  CHECK(tcp.starts_with("tcp://127.0.0.1:"));
  CHECK_FALSE(contains(tcp, "*"));

  zmq::context_t context;
  for (const auto& endpoint : {ipc, tcp}) {
    zmq::socket_t socket(context, zmq::socket_type::sub);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::subscribe, "t/");
    socket.connect(endpoint);
    zmq::message_t topic;
    zmq::message_t body;
    zmq_pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
    for (int i = 0; i < 500 && zmq_poll(&item, 1, 20) == 0; ++i) {
      publisher->publish("other/", "no");
      publisher->publish("t/w/", std::string("a\0b", 3));
    }
    REQUIRE(socket.recv(topic, zmq::recv_flags::dontwait));
    CHECK(topic.to_string() == "t/w/");
    CHECK(topic.more());
    REQUIRE(socket.recv(body, zmq::recv_flags::dontwait));
    CHECK(body.to_string() == std::string("a\0b", 3));
    CHECK_FALSE(body.more());
  }
}

TEST_CASE("two ipc endpoints, in the order they were asked for, before and after tcp") {
  const TemporaryDirectory directory;
  const std::string first = "ipc://" + (directory / "a");
  const std::string second = "ipc://" + (directory / "b");
  const Publishing publisher({first, "tcp://127.0.0.1:*", second}, 10);
  REQUIRE(publisher->endpoints().size() == 3);
  CHECK(publisher->endpoints()[0] == first);
  CHECK(publisher->endpoints()[1].starts_with("tcp://127.0.0.1:"));
  CHECK(publisher->endpoints()[2] == second);
  CHECK(mode_of(directory / "a") == 0660);
  CHECK(mode_of(directory / "b") == 0660);
}

TEST_CASE("what cannot be bound leaves nothing of what could") {
  const TemporaryDirectory directory;
  const std::string good = "ipc://" + (directory / "a");
  const Publishing other({"tcp://127.0.0.1:*"}, 10);
  CHECK(contains(message_of({good, other->endpoints()[0]}), "another program listens there"));
  CHECK_FALSE(std::filesystem::exists(directory / "a"));
  CHECK_NOTHROW(Publishing({good}, 10));
}

TEST_CASE("what cannot be bound is told with the remedy") {
  const TemporaryDirectory directory;
  const Publishing other({"tcp://127.0.0.1:*"}, 10);
  CHECK(contains(message_of(other->endpoints()), "another program listens there"));
  CHECK(contains(message_of({"nonsense"}), "an endpoint is ipc:///path"));
  CHECK(contains(message_of({"bar://x"}), "bar://x"));
  CHECK(
      contains(message_of({"ipc://" + (directory / std::string(120, 'x').c_str())}), "107 bytes"));
  std::ofstream(directory / "file") << "x";
  CHECK(contains(message_of({"ipc://" + (directory / "file/publish")}), "mkdir"));
}

TEST_CASE("publishing to nobody, and to somebody who does not read, never waits") {
  Publishing publisher({"tcp://127.0.0.1:*"}, 100);
  zmq::context_t context;
  zmq::socket_t lazy(context, zmq::socket_type::sub);
  lazy.set(zmq::sockopt::linger, 0);
  lazy.set(zmq::sockopt::rcvhwm, 1);
  lazy.set(zmq::sockopt::subscribe, "");
  lazy.connect(publisher->endpoints()[0]);
  const std::string body(10'000, 'x');
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20'000; ++i) publisher->publish("t/w/", body);
  // Milliseconds; a publisher that waits for the reader never comes to an end.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("a subscriber with more topics than a connection may have is cut off, others are not") {
  zmq::context_t context;
  Publisher publisher(context, {"tcp://127.0.0.1:*"}, 100, nullptr);
  zmq::socket_t good(context, zmq::socket_type::sub);
  zmq::socket_t greedy(context, zmq::socket_type::sub);
  for (zmq::socket_t* socket : {&good, &greedy}) {
    socket->set(zmq::sockopt::linger, 0);
    socket->set(zmq::sockopt::rcvtimeo, 10);
    socket->set(zmq::sockopt::sndhwm, 0);
    socket->connect(publisher.endpoints()[0]);
  }
  good.set(zmq::sockopt::subscribe, "file.completed/");
  for (int i = 0; i < 2000; ++i) {
    greedy.set(zmq::sockopt::subscribe, std::to_string(i) + std::string(100, 'x'));
  }
  int received = 0;
  for (int i = 0; i < 1000 && (publisher.cut_off() == 0 || received < 10); ++i) {
    publisher.publish("file.completed/in/", "x");
    publisher.look_at_subscriptions();
    zmq::message_t frame;
    if (good.recv(frame)) ++received;
  }
  CHECK(publisher.cut_off() > 0);
  CHECK(received >= 10);
}
