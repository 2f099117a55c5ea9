#include "base/endpoint.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

TEST_CASE("endpoints are taken apart") {
  const Endpoint ipc("ipc:///run/inotifier/publish");
  CHECK(ipc.is_ipc());
  CHECK(ipc.address == "/run/inotifier/publish");
  const Endpoint tcp("tcp://127.0.0.1:7556");
  CHECK(tcp.is_tcp());
  CHECK(tcp.host == "127.0.0.1");
  CHECK(tcp.port == "7556");
  const Endpoint v6("tcp://[::1]:7556");
  CHECK(v6.is_ipv6());
  CHECK(v6.bare_host() == "::1");
  CHECK(v6.port == "7556");
  CHECK(Endpoint("tcp://host").port.empty());
  for (const char* other : {"", "/run/x", "udp://x:1", "IPC:///x"}) {
    CHECK(!Endpoint(other).is_ipc());
    CHECK(!Endpoint(other).is_tcp());
  }
}
