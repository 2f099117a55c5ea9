#include "process/announcer.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/one_file.hpp"

namespace inotifier {
namespace {

using Lines = std::vector<std::string>;

/// A finished file in a directory, decided again and again.
struct Decisions {
  CompletionOptions options;
  FileTable table;
  testing::OneFile file;
  Now now{100 * kSecond, 1000 * kSecond};
  Announcer announcer{options, table};

  Decisions() { file.now.mtime = file.now.ctime = 900 * kSecond, file.now.btime = 1; }

  static Candidate closed() {
    Candidate candidate;
    candidate.dir = kRootDir;
    candidate.name = "a";
    candidate.evidence = Evidence::kCloseWrite;
    candidate.naming = Candidate::Naming::kConfirmed;
    return candidate;
  }
  Look decide(Candidate& candidate, const std::string& path = "a") {
    Context context{now, file, file};
    return announcer.decide(candidate, file.now, path, context);
  }
  Look decide(Candidate&& candidate) { return decide(candidate); }
  Lines told() {
    Lines lines;
    for (const Report& report : file.reports) {
      lines.push_back(report.type + " " + report.path + " " +
                      std::to_string(report.file->revision) +
                      (report.file->rewritten ? " rewritten" : ""));
    }
    file.reports.clear();
    return lines;
  }
};

}  // namespace

TEST_CASE("announcer: a version is announced once, the next one as rewritten") {
  Decisions all;
  CHECK(all.decide(Decisions::closed()) == Look::kDrop);
  CHECK(all.told() == Lines{"file.completed a 0"});
  CHECK(all.decide(Decisions::closed()) == Look::kDrop);
  CHECK(all.told().empty());
  all.file.now.mtime = all.file.now.ctime = 901 * kSecond;
  Candidate rewritten = Decisions::closed();
  rewritten.news = Candidate::News::kRewritten;
  CHECK(all.decide(rewritten) == Look::kDrop);
  CHECK(all.told() == Lines{"file.completed a 0 rewritten"});
}

TEST_CASE("announcer: a version whose mtime does not rise has another revision") {
  Decisions all;
  all.decide(Decisions::closed());
  all.file.now.mtime = 1 * kSecond;
  all.file.now.ctime += kSecond;
  Candidate rewritten = Decisions::closed();
  rewritten.news = Candidate::News::kRewritten;
  all.decide(rewritten);
  CHECK(all.told() == Lines{"file.completed a 0", "file.completed a 1 rewritten"});
}

TEST_CASE("announcer: a mode that was set is no news, but for a doubt about the times") {
  Decisions all;
  all.decide(Decisions::closed());
  all.told();
  Candidate touched = Decisions::closed();
  touched.attributes = true;
  SUBCASE("a mode") {
    all.file.now.ctime += kSecond;
    CHECK(all.decide(touched) == Look::kDrop);
    CHECK(all.told().empty());
  }
  SUBCASE("times, with a record of it") {
    all.file.now.mtime = all.file.now.ctime += kSecond;
    CHECK(all.decide(touched) == Look::kDrop);
    CHECK(all.told().empty());
  }
  SUBCASE("times, while records may have been missed") {
    all.file.now.mtime = all.file.now.ctime += kSecond;
    all.file.doubt = 2;
    CHECK(all.decide(touched) == Look::kDrop);
    CHECK(all.told() == Lines{"file.completed a 0 rewritten"});
  }
}

TEST_CASE("announcer: an inode that is used again is another file") {
  Decisions all;
  all.decide(Decisions::closed());
  all.file.now.btime = 2;
  CHECK(all.decide(Decisions::closed()) == Look::kDrop);
  CHECK(all.told().size() == 2);
}

TEST_CASE("announcer: what queued records may still explain is decided after them") {
  Decisions all;
  all.file.read = 32;
  Candidate linked = Decisions::closed();
  linked.evidence = Evidence::kLink;
  CHECK(all.decide(linked) == Look::kWait);
  CHECK(all.told().empty());
  all.file.read = 96;
  CHECK(all.decide(linked) == Look::kDrop);
  CHECK(all.told() == Lines{"file.completed a 0"});
}

TEST_CASE("announcer: while a later write would look the same, it waits") {
  Decisions all;
  all.file.shows = false;
  all.file.now.mtime += 1;  // not of whole seconds
  Candidate candidate = Decisions::closed();
  CHECK(all.decide(candidate) == Look::kWait);
  CHECK(candidate.due > all.now.mono);
  all.file.shows = true;
  CHECK(all.decide(candidate) == Look::kDrop);
  CHECK(all.told().size() == 1);
}

TEST_CASE("announcer: a path that leads to another file is waited for") {
  Decisions all;
  all.file.error = ENOENT;
  Candidate candidate = Decisions::closed();
  CHECK(all.decide(candidate) == Look::kWait);
  all.file.error = 0;
  CHECK(all.decide(candidate) == Look::kDrop);
  CHECK(all.told().size() == 1);
}

TEST_CASE("announcer: existing files are ignored until they change") {
  Decisions all;
  all.options.ignore_existing = true;
  Candidate found = Decisions::closed();
  found.stage = Candidate::Stage::kFound;
  found.evidence = Evidence::kScan;
  CHECK(all.decide(found) == Look::kDrop);
  CHECK(all.told().empty());
  all.table.set_scanned();
  all.file.now.mtime = all.file.now.ctime += kSecond;
  Candidate written = Decisions::closed();
  written.news = Candidate::News::kRewritten;
  all.decide(written);
  CHECK(all.told() == Lines{"file.completed a 0"});
}

TEST_CASE("announcer: a file without a temporary name does not count where one is asked for") {
  Decisions all;
  all.options.only_via_temporary = true;
  CHECK(all.decide(Decisions::closed()) == Look::kDrop);
  CHECK(all.told().empty());
  all.file.now.inode = 2;
  Candidate renamed = Decisions::closed();
  renamed.naming = Candidate::Naming::kFromTemporary;
  all.decide(renamed);
  CHECK(all.told().size() == 1);
}

TEST_CASE("announcer: what was announced and is gone is reported, and its path remembered") {
  Decisions all;
  all.decide(Decisions::closed());
  Context context{all.now, all.file, all.file};
  all.announcer.removed(kRootDir, "a", "", context);
  all.announcer.removed(kRootDir, "a", "", context);
  all.file.now.inode = 2;
  all.decide(Decisions::closed());
  CHECK(all.told() ==
        Lines{"file.completed a 0", "file.removed a 0", "file.completed a 1 rewritten"});
}

}  // namespace inotifier
