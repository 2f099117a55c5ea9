#include "process/absences.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/one_file.hpp"

namespace inotifier {
namespace {

std::vector<std::string> take(Absences& absences, std::size_t most) {
  std::vector<std::string> names;
  absences.take_some(most, [&](DirId, std::string_view name) { names.emplace_back(name); });
  return names;
}

}  // namespace

TEST_CASE("absences: what a scan missed is asked for after its end, some at a time") {
  FileTable table;
  Absences absences(table);
  for (const char* name : {"a", "b", "c"}) absences.add_unseen(kRootDir, name);
  CHECK(absences.size() == 0);
  absences.end_scan(Origin::kOverflow, true);
  CHECK(absences.size() == 3);
  CHECK(absences.origin() == Origin::kOverflow);
  CHECK(take(absences, 2) == std::vector<std::string>{"a", "b"});
  CHECK(take(absences, 2) == std::vector<std::string>{"c"});
  CHECK(absences.size() == 0);
}

TEST_CASE("absences: a scan in which absence proves nothing asks for none") {
  FileTable table;
  Absences absences(table);
  absences.add_unseen(kRootDir, "a");
  absences.end_scan(Origin::kRescan, false);
  CHECK(absences.size() == 0);
  absences.end_scan(Origin::kRescan, true);
  CHECK(absences.size() == 0);
}

TEST_CASE("absences: a file has moved if the same one is gone from its place") {
  FileTable table;
  testing::OneFile file;
  Stat stat;
  stat.inode = 7, stat.size = 10, stat.mtime = 3, stat.btime = 2;
  Row row;
  row.inode = 7, row.size = 10, row.mtime = 3, row.birth = 2;
  table.put(kRootDir, "was", row);
  Absences absences(table);
  const Now now{kSecond, kSecond};
  Context context{now, file, file};
  SUBCASE("gone") {
    file.error = ENOENT;
    const auto former = absences.former_place(stat, context);
    REQUIRE(former);
    CHECK(former->name == "was");
    CHECK(former->path == "was");
  }
  SUBCASE("still there: a hard link") { CHECK_FALSE(absences.former_place(stat, context)); }
  SUBCASE("its inode is used again") {
    file.error = ENOENT;
    stat.btime = 9;
    CHECK_FALSE(absences.former_place(stat, context));
  }
  SUBCASE("rewritten meanwhile") {
    file.error = ENOENT;
    stat.mtime = 9;
    CHECK_FALSE(absences.former_place(stat, context));
  }
}

TEST_CASE("absences: only the disk says that a file is gone") {
  testing::OneFile file;
  const Now now{kSecond, kSecond};
  Context context{now, file, file};
  CHECK_FALSE(is_gone(kRootDir, "a", context));
  file.error = ENOENT;
  CHECK(is_gone(kRootDir, "a", context));
  file.error = EIO;
  CHECK_FALSE(is_gone(kRootDir, "a", context));
  file.error = 0;
  file.now.mode = S_IFDIR | 0755;
  CHECK(is_gone(kRootDir, "a", context));
}

}  // namespace inotifier
