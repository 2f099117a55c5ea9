#include "fs/mounts.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "fs/real_fs.hpp"
#include "support/sandbox.hpp"

using namespace inotifier;

TEST_CASE("mounts: what a type can be trusted with") {
  CHECK(traits_of_type("ext4", true).local);
  CHECK(traits_of_type("tmpfs", false).local);
  CHECK_FALSE(traits_of_type("nfs4", false).local);
  CHECK_FALSE(traits_of_type("fuse.sshfs", false).local);
  CHECK_FALSE(traits_of_type("fuseblk", true).local);
  CHECK_FALSE(traits_of_type("gfs2", true).local);
  CHECK(traits_of_type("cifs", false).type == "cifs");
}

TEST_CASE("mounts: a type that nobody knows is local if it lies on a block device") {
  CHECK(traits_of_type("newfs", true).local);
  CHECK_FALSE(traits_of_type("newfs", false).local);
  CHECK_FALSE(traits_of_type("newfs", true).leases);
  CHECK(traits_of_magic(0x12345678, true).type == "0x12345678");
}

TEST_CASE("mounts: the mount of an open directory is found, and what is mounted at its place") {
  Mounts mounts;
  const UniqueFd proc(open_local(mounts, "/proc"));
  REQUIRE(proc);
  const Mount* mount = mounts.of(proc.get());
  REQUIRE(mount != nullptr);
  CHECK(mount->type == "proc");
  CHECK(mount->path == "/proc");
  CHECK(mounts.at(mount->parent, "/proc") == mount);
  CHECK(mounts.at(mount->parent, "/nothing/is/mounted/here") == nullptr);
}

TEST_CASE("mounts: a path is followed as the kernel follows it") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  const std::filesystem::path top = sandbox.path();
  std::filesystem::create_directories(top / "a/b");
  std::filesystem::create_directory_symlink("a", top / "relative");
  std::filesystem::create_directory_symlink(top / "a", top / "absolute");
  std::filesystem::create_directory_symlink("circle", top / "circle");
  Mounts mounts;
  RealFs fs;
  const auto inode = [&](const std::string& path) {
    const UniqueFd fd(open_local(mounts, (top / path).native()));
    Stat stat;
    return fd && fs.stat(fd.get(), "", stat) == 0 ? stat.inode : 0;
  };
  REQUIRE(inode("a/b") != 0);
  CHECK(inode("relative/b") == inode("a/b"));
  CHECK(inode("absolute/./b/../b") == inode("a/b"));
  CHECK(open_local(mounts, (top / "circle").native()) == -ELOOP);
  CHECK(open_local(mounts, (top / "none").native()) == -ENOENT);
  const UniqueFd handle(open_local(mounts, top.native()));
  CHECK(open_local_beneath(mounts, handle.get(), "relative/b") == -ELOOP);
  CHECK(UniqueFd(open_local_beneath(mounts, handle.get(), "a/b")));
}
