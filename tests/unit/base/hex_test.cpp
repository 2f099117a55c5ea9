#include "base/hex.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

TEST_CASE("hex digits and bytes") {
  CHECK(hex(std::string_view("\0\x7f\xff", 3)) == "007fff");
  CHECK(hex_digit('9') == 9);
  CHECK(hex_digit('F') == 15);
  CHECK(hex_digit('f') == 15);
  CHECK(hex_digit('g') == -1);
}
