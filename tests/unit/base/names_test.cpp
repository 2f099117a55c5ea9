#include "base/names.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace inotifier;

TEST_CASE("names of watches and consumers") {
  CHECK(is_name("A-b_9"));
  CHECK(is_name(std::string(64, 'x')));
  for (const char* bad : {"", "_a", "-a", "a b", "a/b", "a.b", "\xc3\xa4"}) CHECK(!is_name(bad));
  CHECK(!is_name(std::string(65, 'x')));
}

TEST_CASE("a daemon's name may have dots") {
  CHECK(is_daemon_name("pacs-1.example.org"));
  CHECK(!is_daemon_name(".x"));
  CHECK(!is_daemon_name("a:1"));
}
