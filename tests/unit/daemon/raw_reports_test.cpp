#include "daemon/raw_reports.hpp"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <string>
#include <utility>
#include <vector>

namespace inotifier {
namespace {

struct Kept final : Out {
  std::vector<Report> reports;
  bool wants(std::string_view) const override { return true; }
  void emit(Report report) override { reports.push_back(std::move(report)); }
};

Record record_of(std::uint32_t mask, std::string_view name) {
  Record record;
  record.mask = mask;
  record.name = name;
  record.cookie = 7;
  return record;
}

TEST_CASE("raw reports: only the types that are named, with the record as it was") {
  const RawReports raw({"file.completed", "in_create", "in_moved_to"});
  CHECK(raw.any());
  CHECK(raw.mask() == (IN_CREATE | IN_MOVED_TO));
  Kept out;
  raw.on_record(record_of(IN_DELETE, "a"), "d/a", out);
  CHECK(out.reports.empty());
  raw.on_record(record_of(IN_CREATE | IN_ISDIR, "a"), "d/a", out);
  REQUIRE(out.reports.size() == 1);
  CHECK(out.reports[0].type == "in_create");
  CHECK(out.reports[0].path == "d/a");
  CHECK(out.reports[0].data == Value::Map{{"mask", static_cast<std::int64_t>(IN_CREATE | IN_ISDIR)},
                                          {"cookie", 7},
                                          {"name", "a"},
                                          {"is_dir", true}});
}

TEST_CASE("raw reports: without such a type nothing is asked for or reported") {
  const RawReports raw({"file.completed"});
  CHECK_FALSE(raw.any());
  CHECK(raw.mask() == 0);
  Kept out;
  raw.on_record(record_of(IN_ALL_EVENTS, "a"), "a", out);
  CHECK(out.reports.empty());
}

TEST_CASE("raw reports: what inotify reports unasked is in no mask") {
  CHECK(RawReports({"in_q_overflow"}).mask() == 0);
  CHECK(RawReports({"in_q_overflow"}).any());
}

}  // namespace
}  // namespace inotifier
