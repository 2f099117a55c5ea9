#include "daemon/volumes.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

namespace {

DirId add_volume(WatchTable& table, DirId parent, const char* name, std::uint64_t inode) {
  const DirId dir = table.add(parent, name);
  Stat stat;
  stat.inode = inode;
  stat.mount_root = true;
  table.set_identity(dir, stat);
  return dir;
}

}  // namespace

TEST_CASE("volumes: what is mounted below the root is told, with its inode") {
  WatchTable table;
  FileTable files;
  const DirId plain = table.add(kRootDir, "plain");
  add_volume(table, plain, "volume", 7);
  const auto volumes = volumes_of(table, files);
  REQUIRE(volumes.size() == 1);
  CHECK(volumes[0].directory == "plain/volume");
  CHECK(volumes[0].is_there);
  CHECK(volumes[0].inode == 7);
}

TEST_CASE("volumes: one that was unmounted is not there, whatever is at its place") {
  WatchTable table;
  FileTable files;
  const DirId volume = add_volume(table, kRootDir, "volume", 7);
  add_volume(table, volume, "inner", 8);
  table.set_aside(volume);
  table.add(kRootDir, "volume");
  const auto volumes = volumes_of(table, files);
  REQUIRE(volumes.size() == 1);
  CHECK(volumes[0].directory == "volume");
  CHECK_FALSE(volumes[0].is_there);
}

TEST_CASE("volumes: a place that is mounted over counts if files are known there") {
  WatchTable table;
  FileTable files;
  const DirId covered = table.add(kRootDir, "d");
  const DirId below = table.add(covered, "e");
  table.set_aside(covered);
  add_volume(table, kRootDir, "d", 7);
  CHECK(volumes_of(table, files).at(0).is_there);
  files.put(below, "f", {});
  const auto volumes = volumes_of(table, files);
  REQUIRE(volumes.size() == 1);
  CHECK(volumes[0].directory == "d");
  CHECK_FALSE(volumes[0].is_there);
}
