#include "cli/moment.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "base/rfc3339.hpp"
#include "cli/output.hpp"
#include "inotifier/time.hpp"

using inotifier::kSecond;
using namespace inotifier;

namespace {
constexpr std::int64_t kNow = 1'795'341'600 * kSecond;  // 2026-11-22T10:00:00Z
}  // namespace

TEST_CASE("times are read as RFC 3339 writes them, and a little less strictly") {
  const auto read = [](const char* text) {
    const auto time = parse_rfc3339(text, TimeSyntax::kLoose);
    return time ? rfc3339(*time) : std::string("none");
  };
  CHECK(read("2026-11-22T10:00:00Z") == "2026-11-22T10:00:00.000000000Z");
  CHECK(read("2026-11-22T10:00:00.5Z") == "2026-11-22T10:00:00.500000000Z");
  CHECK(read("2026-11-22T10:00:00.1234567891Z") == "2026-11-22T10:00:00.123456789Z");
  CHECK(read("2026-11-22t10:00:00z") == "2026-11-22T10:00:00.000000000Z");
  CHECK(read("2026-11-22 10:00Z") == "2026-11-22T10:00:00.000000000Z");
  CHECK(read("2026-11-22T10:00:00+01:30") == "2026-11-22T08:30:00.000000000Z");
  CHECK(read("2026-11-22T10:00:00-01:30") == "2026-11-22T11:30:00.000000000Z");
  CHECK(read("2026-11-22T10:00") != "none");  // local
  for (const char* text : {"", "2026", "2026-11-22", "2026-13-22T10:00:00Z", "2026-11-22T25:00:00Z",
                           "2026-11-22T10:00:00X", "2026-11-22T10:00:00+1:30", "x2026-11-22T10:00Z",
                           "2026-11-22T10:00:00Zx", "9999-11-22T10:00:00Z"}) {
    CHECK_MESSAGE(read(text) == "none", text);
  }
}

TEST_CASE("places in the journal") {
  using Kind = JournalPoint::Kind;
  const auto place = [](const char* text) { return parse_journal_point(text, kNow); };
  CHECK(place("start").kind == Kind::kStart);
  CHECK(place("now").text == "now");
  CHECK(place("1h").text == "2026-11-22T09:00:00.000000000Z");
  CHECK(place("1h").kind == Kind::kTime);
  CHECK(place("2026-11-22T10:00:00Z").text == "2026-11-22T10:00:00.000000000Z");
  CHECK(place("17").text == "00000000000000000017");
  CHECK(place("17").kind == Kind::kPosition);
  CHECK(place("01875466789512347651").text == "01875466789512347651");
  for (const char* text : {"", "yesterday", "-1", "123456789012345678901", "1 fortnight"}) {
    CHECK_THROWS_AS_MESSAGE(place(text), UsageError, text);
  }
}

TEST_CASE("how long ago") {
  CHECK(ago(rfc3339(kNow - 3 * kSecond), kNow) == "3s ago");
  CHECK(ago(rfc3339(kNow - 7200 * kSecond), kNow) == "2h ago");
  CHECK(ago(rfc3339(kNow - 50 * 86'400 * kSecond), kNow) == "50d ago");
  CHECK(ago(rfc3339(kNow + 60 * kSecond), kNow) == "in 1m");
  CHECK(ago("-", kNow) == "-");
  CHECK(ago("\x1b[2J", kNow) == "\\x1b[2J");
}

TEST_CASE("a table has columns") {
  Table table({"A", "LONG", "C"});
  CHECK(table.empty());
  table.add({"ä", "x", "last"});
  table.add({"long one", "y", ""});
  CHECK(table.text() ==
        "A         LONG  C\n"
        "ä         x     last\n"
        "long one  y     \n");
}
