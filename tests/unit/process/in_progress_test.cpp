#include "process/in_progress.hpp"

#include <doctest/doctest.h>

namespace inotifier {
namespace {

Candidate candidate(std::string name, Nanos due) {
  Candidate made;
  made.dir = kRootDir;
  made.name = std::move(name);
  made.due = due;
  return made;
}

}  // namespace

TEST_CASE("in progress: what is due comes in the order of time") {
  InProgress files;
  files.put(candidate("later", 2));
  files.put(candidate("first", 1));
  files.put(candidate("never", InProgress::kNever));
  CHECK(files.deadline(true) == 1);
  CHECK(files.take_due(0, 9, 9).empty());
  CHECK(files.take_due(2, 1, 9).at(0).name == "first");
  CHECK(files.take_due(2, 1, 9).at(0).name == "later");
  CHECK(files.take_due(2, 9, 9).empty());
  CHECK(files.size() == 1);
}

TEST_CASE("in progress: those found by a scan are counted") {
  InProgress files;
  Candidate found = candidate("a", 5);
  found.stage = Candidate::Stage::kFound;
  files.put(found);
  CHECK(files.undecided() == 1);
  bool existed = false;
  (void)files.take(kRootDir, "a", existed);
  CHECK(existed);
  CHECK(files.undecided() == 0);
}

TEST_CASE("in progress: a directory that is gone takes its files along") {
  InProgress files;
  files.put(candidate("a", 1));
  Candidate other = candidate("b", 2);
  other.dir = 3;
  files.put(other);
  files.erase_directory(3);
  CHECK(files.size() == 1);
  CHECK(files.deadline(true) == 1);
}

TEST_CASE("in progress: finds of a scan have a time of their own") {
  InProgress files;
  Candidate found;
  found.dir = kRootDir;
  found.name = "found";
  found.due = 1;
  found.stage = Candidate::Stage::kFound;
  found.origin = Origin::kRescan;
  files.put(found);
  Candidate new_one = found;
  new_one.name = "in a new directory";
  new_one.origin = Origin::kNewDirectory;
  new_one.due = 2;
  files.put(new_one);
  CHECK(files.deadline(true) == 1);
  CHECK(files.deadline(false) == 2);
  CHECK(files.take_due(3, 9, 0).at(0).name == "in a new directory");
  CHECK(files.take_due(3, 9, 0).empty());
  CHECK(files.take_due(3, 9, 1).at(0).name == "found");
}

}  // namespace inotifier
