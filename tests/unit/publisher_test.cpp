#include "publish/publisher.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

std::string message_of(const std::vector<std::string>& endpoints) {
  try {
    const Publisher publisher(endpoints, 10);
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
    const Publisher publisher({"ipc://" + path}, 10);
    CHECK(publisher.endpoints() == std::vector<std::string>{"ipc://" + path});
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
    const Publisher first({endpoint}, 10);
    CHECK(contains(message_of({endpoint}), "another inotifier publishes on " + endpoint));
    CHECK(mode_of(directory / "publish") == 0660);
  }
  CHECK_NOTHROW(Publisher({endpoint}, 10));
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
  CHECK_NOTHROW(Publisher({"ipc://" + path}, 10));
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
  Publisher publisher({ipc, "tcp://127.0.0.1:*"}, 10);
  REQUIRE(publisher.endpoints().size() == 2);
  const std::string tcp = publisher.endpoints()[1];
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
      publisher.publish("other/", "no");
      publisher.publish("t/w/", std::string("a\0b", 3));
    }
    REQUIRE(socket.recv(topic, zmq::recv_flags::dontwait));
    CHECK(topic.to_string() == "t/w/");
    CHECK(topic.more());
    REQUIRE(socket.recv(body, zmq::recv_flags::dontwait));
    CHECK(body.to_string() == std::string("a\0b", 3));
    CHECK_FALSE(body.more());
  }
}

TEST_CASE("what cannot be bound is told with the remedy") {
  const TemporaryDirectory directory;
  const Publisher other({"tcp://127.0.0.1:*"}, 10);
  CHECK(contains(message_of(other.endpoints()), "another program listens there"));
  CHECK(contains(message_of({"nonsense"}), "an endpoint is ipc:///path"));
  CHECK(contains(message_of({"bar://x"}), "bar://x"));
  CHECK(
      contains(message_of({"ipc://" + (directory / std::string(120, 'x').c_str())}), "107 bytes"));
  std::ofstream(directory / "file") << "x";
  CHECK(contains(message_of({"ipc://" + (directory / "file/publish")}), "mkdir"));
}

TEST_CASE("publishing to nobody, and to somebody who does not read, never waits") {
  Publisher publisher({"tcp://127.0.0.1:*"}, 100);
  zmq::context_t context;
  zmq::socket_t lazy(context, zmq::socket_type::sub);
  lazy.set(zmq::sockopt::linger, 0);
  lazy.set(zmq::sockopt::rcvhwm, 1);
  lazy.set(zmq::sockopt::subscribe, "");
  lazy.connect(publisher.endpoints()[0]);
  const std::string body(10'000, 'x');
  for (int i = 0; i < 20'000; ++i) publisher.publish("t/w/", body);
  CHECK(true);  // it came to an end
}
