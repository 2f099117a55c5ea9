#include "process/inspector.hpp"

#include <doctest/doctest.h>

#include <cerrno>

#include "process/in_progress.hpp"
#include "support/one_file.hpp"

namespace inotifier {
namespace {

using testing::OneFile;

struct Bench {
  CompletionOptions options;
  Filters filters{{}, {"*.bak"}, {"*.part"}};
  OneFile file;
  Now now{100 * kSecond, 1000 * kSecond};
  Candidate candidate;
  Stat stat;
  std::string path;
  Bench() { candidate.name = "a", candidate.evidence = Evidence::kCloseWrite; }
  Look look() {
    const Inspector inspector(options, filters);
    Context context{now, file, file};
    return inspector.look(candidate, context, path, stat);
  }
};

}  // namespace

TEST_CASE("inspector: a granted lease on a file with content is proof") {
  Bench bench;
  CHECK(bench.look() == Look::kComplete);
  CHECK(bench.path == "a");
  CHECK(bench.stat.size == 10);
}

TEST_CASE(
    "inspector: a writer is waited for with growing pauses, after an hour every ten seconds") {
  Bench bench;
  bench.file.found = Files::Writer::kOpen;
  bench.candidate.waiting_since = bench.now.mono;
  for (const Nanos pause : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000}) {
    CHECK(bench.look() == Look::kWait);
    CHECK(bench.candidate.due - bench.now.mono == pause * kMillisecond);
  }
  bench.now.mono += 3601 * kSecond;
  CHECK(bench.look() == Look::kWait);
  CHECK(bench.candidate.due - bench.now.mono == 10 * kSecond);
}

TEST_CASE("inspector: what is gone or not admitted is dropped, and what is no regular file told") {
  Bench bench;
  SUBCASE("gone") {
    bench.file.found = Files::Writer::kGone;
    CHECK(bench.look() == Look::kGone);
  }
  SUBCASE("a fifo") {
    bench.file.found = Files::Writer::kNotRegular;
    CHECK(bench.look() == Look::kNotRegular);
  }
  SUBCASE("excluded") {
    bench.candidate.name = "a.bak";
    CHECK(bench.look() == Look::kDrop);
  }
}

TEST_CASE("inspector: without leases two quiet seconds decide after a close, else a minute") {
  Bench bench;
  Nanos quiet = 60 * kSecond;
  SUBCASE("closed") {
    bench.candidate.naming = Candidate::Naming::kConfirmed;
    quiet = 2 * kSecond;
  }
  SUBCASE("not seen closed") {}
  bench.file.found = Files::Writer::kUnknown;
  bench.file.now.mtime = bench.file.now.ctime = bench.now.wall;
  CHECK(bench.look() == Look::kWait);
  bench.now.mono += quiet - kMillisecond;
  CHECK(bench.look() == Look::kWait);
  bench.file.now.size = 11;
  bench.now.mono += kMillisecond;
  CHECK(bench.look() == Look::kWait);
  bench.now.mono += quiet;
  CHECK(bench.look() == Look::kComplete);
  CHECK(bench.candidate.evidence == Evidence::kSettled);
}

TEST_CASE("inspector: an empty file whose name nothing confirmed is looked at twice") {
  Bench bench;
  bench.file.now.size = 0;
  bench.file.now.ctime = bench.now.wall;
  CHECK(bench.look() == Look::kWait);
  bench.now.mono += 2 * kSecond;
  CHECK(bench.look() == Look::kComplete);
}

TEST_CASE("inspector: a wait that is longer than time itself has an end") {
  Bench bench;
  bench.options.settle = INT64_MAX;
  CHECK(bench.look() == Look::kWait);
  CHECK(bench.candidate.due == InProgress::kNever);
}

}  // namespace inotifier
