#include "daemon/scan_tally.hpp"

#include <doctest/doctest.h>

#include <string>

namespace inotifier {
namespace {

Report file_report(const std::string& type, Origin origin) {
  Report report;
  report.type = type;
  report.file.emplace().origin = origin;
  return report;
}

TEST_CASE("scan tally: the first scan is reported with what it found and announced") {
  ScanTally tally;
  CHECK_FALSE(tally.has_ended());
  tally.on_found(Origin::kStartup);
  tally.on_found(Origin::kStartup);
  tally.on_found(Origin::kNewDirectory);
  tally.on_report(file_report("file.completed", Origin::kStartup));
  tally.on_report(file_report("file.completed", Origin::kLive));
  tally.on_scanned(Origin::kStartup, "startup", 1500 * kMillisecond);
  REQUIRE(tally.has_ended());
  const Report report = tally.take("in");
  CHECK(report.type == "watch.scanned");
  CHECK(report.data == Value::Map{{"found", 2}, {"announced", 1}, {"seconds", 1.5}});
  CHECK_FALSE(tally.has_ended());
}

TEST_CASE("scan tally: a rescan is reported with what was missed, and counts from nothing again") {
  ScanTally tally;
  for (int round = 0; round < 2; ++round) {
    tally.on_report(file_report("file.completed", Origin::kOverflow));
    tally.on_report(file_report("file.removed", Origin::kOverflow));
    tally.on_scanned(Origin::kOverflow, "overflow", kSecond);
    const Report report = tally.take("in");
    CHECK(report.type == "watch.rescan");
    CHECK(report.data ==
          Value::Map{{"reason", "overflow"}, {"recovered", 1}, {"removed", 1}, {"seconds", 1.0}});
  }
}

TEST_CASE("scan tally: a poll's rounds are not reported; a stalled file changes no row") {
  ScanTally tally;
  tally.on_scanned(Origin::kPoll, "poll", kSecond);
  CHECK_FALSE(tally.has_ended());
  tally.on_report(file_report("file.stalled", Origin::kLive));
  tally.on_report(Report{});
}

}  // namespace
}  // namespace inotifier
