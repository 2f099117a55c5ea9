#include "state/file_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace inotifier;

namespace {

Row row(std::uint64_t inode, std::uint64_t path_hash = 0) {
  Row result;
  result.inode = inode;
  result.path_hash = path_hash;
  return result;
}

}  // namespace

TEST_CASE("file table: rows are found by directory and name") {
  FileTable table;
  CHECK(table.find(0, "a") == nullptr);
  table.put(0, "a", row(1));
  table.put(1, "a", row(2));
  table.put(0, "ab", row(3));
  REQUIRE(table.find(0, "a") != nullptr);
  CHECK(table.find(0, "a")->inode == 1);
  CHECK(table.find(1, "a")->inode == 2);
  CHECK(table.find(1, "ab") == nullptr);
  table.put(0, "a", row(4));
  CHECK(table.find(0, "a")->inode == 4);
  CHECK(table.size() == 3);
}

TEST_CASE("file table: what a listing did not show") {
  FileTable table;
  table.put(5, "a", row(1)).listing = 9;
  table.put(5, "b", row(2)).listing = 8;
  table.put(6, "c", row(3)).listing = 8;
  CHECK(table.unlisted(5, 9) == std::vector<std::string>{"b"});
  CHECK(table.unlisted(5, 0).size() == 2);
  CHECK(table.unlisted(7, 0).empty());
}

TEST_CASE("file table: what has left is remembered by its path") {
  FileTable table;
  Row before = row(1, 77);
  before.mtime = 5;
  before.revision = 2;
  table.put(0, "a", before);
  CHECK(table.tombstone(77) == nullptr);
  table.leave(0, "a");
  CHECK(table.find(0, "a") == nullptr);
  CHECK(table.size() == 0);
  REQUIRE(table.tombstone(77) != nullptr);
  CHECK(table.tombstone(77)->mtime == 5);
  CHECK(table.tombstone(77)->revision == 2);
  table.leave(0, "a");  // once more is nothing
  CHECK(table.size() == 0);
}

TEST_CASE("file table: a version is inode, creation, size and mtime, as far as they are kept") {
  Row known = row(1);
  known.size = 2, known.mtime = 3, known.birth = 4;
  Stat stat;
  stat.inode = 1, stat.size = 2, stat.mtime = 3, stat.btime = 4;
  CHECK(known.same_version(stat, true));
  stat.btime = 5;
  CHECK_FALSE(known.same_version(stat, true));
  CHECK(known.same_version(stat, false));
  known.birth = 0;  // of an older journal
  CHECK(known.same_version(stat, true));
  stat.mtime = 4;
  CHECK_FALSE(known.same_version(stat, false));
  CHECK(known.same_data(stat, false));
}

TEST_CASE("file table: (revision, mtime) of a path rises") {
  Stat next;
  next.mtime = 5;
  CHECK(Row::next_revision(2, 4, next) == 2);
  CHECK(Row::next_revision(2, 5, next) == 3);
  CHECK(Row::next_revision(2, 6, next) == 3);
}

TEST_CASE("file table: that the first scan is over is to be kept once") {
  FileTable table;
  table.keep_changes();
  CHECK_FALSE(table.has_changes());
  table.set_scanned();
  table.set_scanned();
  CHECK(table.scanned());
  CHECK(table.has_changes());
  table.forget_changes();
  table.set_scanned();
  CHECK_FALSE(table.has_changes());
}

TEST_CASE("file table: the longest name, and bytes that are no text") {
  FileTable table;
  const std::string longest(1024, '\xff');  // FUSE
  table.put(0, longest, row(1));
  REQUIRE(table.find(0, longest) != nullptr);
  CHECK(table.unlisted(0, 0) == std::vector<std::string>{longest});
}

TEST_CASE("file table: does what a map does, however much comes and goes") {
  FileTable table;
  std::map<std::pair<DirId, std::string>, std::uint64_t> model;
  std::mt19937 random(1);
  // Long names, so that the chunks of names are compacted more than once.
  const std::string padding(200, 'x');
  for (std::uint64_t i = 1; i < 60'000; ++i) {
    const auto dir = static_cast<DirId>(random() % 7);
    const std::string name = std::to_string(random() % 3000) + padding;
    if (random() % 3 == 0) {
      table.leave(dir, name);
      model.erase({dir, name});
    } else {
      table.put(dir, name, row(i));
      model[{dir, name}] = i;
    }
  }
  REQUIRE(table.size() == model.size());
  for (const auto& [key, inode] : model) {
    const Row* found = table.find(key.first, key.second);
    REQUIRE(found != nullptr);
    REQUIRE(found->inode == inode);
  }
  for (DirId dir = 0; dir < 7; ++dir) {
    std::vector<std::string> names = table.unlisted(dir, 0);
    std::ranges::sort(names);
    std::vector<std::string> expected;
    for (const auto& [key, inode] : model) {
      if (key.first == dir) expected.push_back(key.second);
    }
    std::ranges::sort(expected);
    CHECK(names == expected);
  }
}

TEST_CASE("file table: a directory's rows get another number") {
  FileTable table;
  Row row;
  row.inode = 7;
  table.put(0, "a", row);
  table.put(0, "b", row);
  table.renumber(0, 5);
  CHECK(table.find(0, "a") == nullptr);
  REQUIRE(table.find(5, "a") != nullptr);
  CHECK(table.find(5, "a")->inode == 7);
  CHECK(table.count(0) == 0);
  CHECK(table.count(5) == 2);
  CHECK(table.size() == 2);
}

TEST_CASE("file table: few files take little room, and many not much more than they need") {
  FileTable table;
  CHECK(table.reserved_bytes() == 0);
  table.put(0, "one file", row(1));
  CHECK(table.reserved_bytes() < 4096);
  constexpr std::size_t kMany = 20'000;
  for (std::size_t i = 0; i < kMany; ++i) {
    table.put(1, "file number " + std::to_string(i), row(i));
    CHECK(table.reserved_bytes() < 4096 + 2 * 160 * table.size());
  }
  for (std::size_t i = 0; i < kMany; ++i) {
    REQUIRE(table.find(1, "file number " + std::to_string(i)) != nullptr);
    CHECK(table.find(1, "file number " + std::to_string(i))->inode == i);
  }
}

TEST_CASE("file table: files that come and go take no more room with time") {
  FileTable table;
  for (std::size_t i = 0; i < 20'000; ++i) {
    const std::string name = "the name of file number " + std::to_string(i);
    table.put(0, name, row(i));
    table.leave(0, name);
  }
  CHECK(table.reserved_bytes() < 16384);
}

TEST_CASE("file table: a name may be longer than the first room for names") {
  FileTable table;
  const std::string name(1000, 'n');
  table.put(0, "short", row(1));
  table.put(0, name, row(2));
  table.put(0, name + "x", row(3));
  REQUIRE(table.find(0, name) != nullptr);
  CHECK(table.find(0, name)->inode == 2);
  CHECK(table.find(0, name + "x")->inode == 3);
}
