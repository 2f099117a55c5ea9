#include "source/open_directories.hpp"

#include <doctest/doctest.h>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

TEST_CASE("open directories: one descriptor a turn, of this very directory") {
  SourceParts parts;
  parts.fs.make_directory("/w/a");
  parts.attach();
  parts.scan();
  OpenDirectories& open = parts.tree.open();
  const DirId a = parts.tree.table().child(kRootDir, "a");
  const int handle = open.open(a);
  REQUIRE(handle >= 0);
  CHECK(open.open(a) == handle);
  open.close();
  parts.root.close();
  CHECK(parts.fs.open_handles() == 0);

  // Another directory has its name by now.
  parts.fs.rename("/w/a", "/w/b", false);
  parts.fs.make_directory("/w/a");
  CHECK(open.open(a) < 0);
}

TEST_CASE("open directories: what is lent is used until it is taken back") {
  SourceParts parts;
  parts.fs.make_directory("/w/a");
  parts.attach();
  parts.scan();
  OpenDirectories& open = parts.tree.open();
  const DirId a = parts.tree.table().child(kRootDir, "a");
  const int handle = parts.fs.open_directory(parts.root.open(), "a");
  open.lend(a, handle);
  CHECK(open.open(a) == handle);
  open.take_back(a);
  CHECK(open.open(a) != handle);
  parts.fs.close(handle);
}
