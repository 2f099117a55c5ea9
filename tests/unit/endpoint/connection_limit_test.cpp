#include "endpoint/connection_limit.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "base/unique_fd.hpp"
#include "serve/publisher.hpp"
#include "support/sandbox.hpp"

namespace inotifier {
namespace {

/// Lowers this process's limit of open files while it lives.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t most) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit now = before_;
    now.rlim_cur = most;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

 private:
  rlimit before_{};
};

UniqueFd unconnected() { return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

void connect_to(const std::string& path, const UniqueFd& fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

/// Whether ZeroMQ takes the connection: then it greets, else the connection ends.
bool is_greeted(const UniqueFd& fd) {
  pollfd polled{fd.get(), POLLIN, 0};
  REQUIRE(::poll(&polled, 1, 10'000) == 1);
  char byte = 0;
  return ::recv(fd.get(), &byte, 1, 0) == 1;
}

/// A publisher at a path of its own.
struct Publishing {
  testing::Sandbox sandbox{testing::Sandbox::places().front()};
  std::string path = sandbox.path() + "/publish";
  zmq::context_t context;
  Publisher publisher{context, {"ipc://" + path}, 10, nullptr};
};

TEST_CASE("connections are refused while the limit is reached, and taken again afterwards") {
  const Publishing publishing;
  const OpenFiles limit(400);
  const std::uint64_t before = refused_connections();
  std::vector<UniqueFd> taken;
  bool all = true;
  while (all) {
    // A quarter of the descriptors is left, and the first hundred connections at least have room.
    REQUIRE(taken.size() < 200);
    UniqueFd fd = unconnected();
    REQUIRE(fd);
    REQUIRE(fd.get() < 302);
    connect_to(publishing.path, fd);
    all = is_greeted(fd);
    if (all) taken.push_back(std::move(fd));
  }
  CHECK(taken.size() > 100);
  CHECK(refused_connections() == before + 1);
  // Those that are there stay: nothing but the rest of the greeting is to come.
  char bytes[64];
  for (const UniqueFd& fd : taken) CHECK(::recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT) != 0);

  taken.clear();
  bool again = false;
  // ZeroMQ's thread closes its ends a moment later.
  for (int i = 0; i < 1000 && !again; ++i) {
    const UniqueFd fd = unconnected();
    connect_to(publishing.path, fd);
    again = is_greeted(fd);
  }
  CHECK(again);
}

TEST_CASE("who connects when no descriptor is left at all waits, and nothing ends") {
  const Publishing publishing;
  const UniqueFd fd = unconnected();
  {
    const OpenFiles limit(200);
    std::vector<UniqueFd> all;
    while (all.size() < 200) {
      UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!one) break;
      all.push_back(std::move(one));
    }
    REQUIRE(::open("/dev/null", O_RDONLY | O_CLOEXEC) == -1);
    connect_to(publishing.path, fd);
    pollfd polled{fd.get(), POLLIN, 0};
    CHECK(::poll(&polled, 1, 100) == 0);
  }
  CHECK(is_greeted(fd));
}

TEST_CASE("limits leave room for directories and the journal, and for this machine's clients") {
  for (const std::uint64_t open_files : {0ULL, 1ULL, 64ULL, 256ULL, 1024ULL, 20'000ULL, ~0ULL}) {
    const ConnectionLimits limits = connection_limits(open_files);
    CHECK(limits.local <= open_files - open_files / 4);
    CHECK(limits.local <= 10'000);
    CHECK(limits.network <= limits.local);
  }
  CHECK(connection_limits(256).local == 192);
  CHECK(connection_limits(256).network == 128);
}

}  // namespace
}  // namespace inotifier
