#include "base/rfc3339.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <limits>
#include <string>

using namespace inotifier;
using namespace std::string_literals;

TEST_CASE("rfc3339 is UTC with nine decimals") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00.000000000Z");
  CHECK(rfc3339(1'795'341'600'123'456'789) == "2026-11-22T10:00:00.123456789Z");
  CHECK(rfc3339(951'782'400'000'000'000) == "2000-02-29T00:00:00.000000000Z");
  CHECK(rfc3339(-1) == "1969-12-31T23:59:59.999999999Z");
  CHECK(rfc3339(-86'400'000'000'000) == "1969-12-31T00:00:00.000000000Z");
  CHECK(rfc3339(std::numeric_limits<std::int64_t>::max()) == "2262-04-11T23:47:16.854775807Z");
  CHECK(rfc3339(std::numeric_limits<std::int64_t>::min()) == "1677-09-21T00:12:43.145224192Z");
}

TEST_CASE("rfc3339: seconds that do not fit into nanoseconds, to the ends of four digits") {
  CHECK(rfc3339(10'413'792'000, 5) == "2300-01-01T00:00:00.000000005Z");
  CHECK(rfc3339(-11'644'473'600, 0) == "1601-01-01T00:00:00.000000000Z");
  CHECK(rfc3339(INT64_MAX, 0) == "9999-12-31T23:59:59.000000000Z");
  CHECK(rfc3339(INT64_MIN, 0) == "0000-01-01T00:00:00.000000000Z");
}

TEST_CASE("rfc3339 agrees with gmtime on every day of four centuries") {
  std::size_t different = 0;
  for (std::int64_t day = -100'000; day <= 100'000; ++day) {
    const std::time_t seconds = day * 86'400 + 86'399;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32] = {};
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rfc3339(seconds * 1'000'000'000 + 5) != text + ".000000005Z"s) ++different;
  }
  CHECK(different == 0);
}

TEST_CASE("rfc3339: what is parsed") {
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339("2000-02-29T12:34:56.123456789Z") == 951827696123456789);
  CHECK(parse_rfc3339("2026-11-22T11:00:00.5+01:00") == 1795341600500000000);
  CHECK(parse_rfc3339("2026-11-22T05:30:00-04:30") == 1795341600000000000);
  for (const char* bad :
       {"", "2026", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22T25:00:00Z",
        "2026-00-22T10:00:00Z", "2026-11-32T10:00:00Z", "1969-12-31T23:59:59Z",
        "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00.1234567890Z", "2026-11-22T10:00:00Zx",
        "2026-11-22T10:00:00+0100", "9999-01-01T00:00:00Z"}) {
    INFO(bad);
    CHECK(!parse_rfc3339(bad));
  }
  CHECK(!parse_rfc3339("2026-02-29T10:00:00Z"));
}
