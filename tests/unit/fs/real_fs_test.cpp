// The seam to the disk on the kernel: the same answers as its model gives, and what only the kernel
// has to offer.
#include "fs/real_fs.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/disk.hpp"
#include "support/fake_fs.hpp"
#include "support/sandbox.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

constexpr const char* kWriters[] = {"none", "open", "unknown", "gone", "not regular", "changed"};

/// What the pipeline gets to know of a tree, as text; the same for both.
std::vector<std::string> look(Fs& fs, Disk& disk, const std::string& root_path) {
  std::vector<std::string> said;
  const auto at = [&](const char* relative) { return root_path + "/" + relative; };
  const auto say = [&](const std::string& what, int result) {
    said.push_back(what + " " + (result > 0 ? "opened" : std::to_string(result)));
    if (result > 0) fs.close(result);
  };
  OpenMode mode;
  mode.create = true;
  disk.make_directory(at("d"));
  disk.make_directory(at("d/e"));
  disk.make_fifo(at("d/p"));
  disk.make_symlink("d", at("s"));
  disk.make_symlink("nowhere", at("broken"));
  const int handle = disk.open_file(at("d/f"), mode);
  disk.put(handle, 100);

  const int root = fs.open_root(root_path);
  REQUIRE(root > 0);
  say("root through a link", fs.open_root(at("s")));
  say("root that is a file", fs.open_root(at("d/f")));
  say("root that is not there", fs.open_root(at("none")));
  for (const char* path : {"", "d", "d/e", "none", "d/none/e", "d/f", "d/f/x", "s", "s/e", "d/p"}) {
    say(std::string("open ") + path, fs.open_directory(root, path));
  }
  Stat stat;
  for (const char* path : {"", "d", "d/f", "d/p", "s", "s/e", "broken", "none", "d/f/x"}) {
    const int error = fs.stat(root, path, stat);
    said.push_back(std::string("stat ") + path + " " + std::to_string(error));
    if (error == 0) said.back() += " type " + std::to_string(stat.mode >> 12U);
    if (error == 0 && (stat.mode >> 12U) == 8) said.back() += " size " + std::to_string(stat.size);
  }
  const auto writer = [&](const char* path) {
    int error = 0;
    const auto result = fs.writer(root, path, stat, error);
    said.push_back(std::string("writer ") + path + " " +
                   kWriters[static_cast<std::size_t>(result)]);
  };
  for (const char* path : {"d/f", "d", "d/p", "s", "none", "s/f", "d/f/x"}) writer(path);
  disk.map(handle);
  disk.close_file(handle);
  writer("d/f");
  disk.unmap(handle);
  writer("d/f");
  // A handle is a directory, not a path.
  const int held = fs.open_directory(root, "d");
  disk.rename(at("d"), at("moved"), false);
  said.push_back("stat by handle " + std::to_string(fs.stat(held, "f", stat)));
  const auto list = [&](int directory) {
    int error = 0;
    const auto listing = fs.list(directory, error);
    REQUIRE(listing != nullptr);
    Entry entry;
    std::set<std::string> entries;  // their order is nobody's business
    int more = 0;
    while ((more = listing->next(entry)) == 1) {
      entries.insert(std::string(entry.name) + ":" + std::to_string(static_cast<int>(entry.kind)));
    }
    said.push_back("listed to " + std::to_string(more));
    said.insert(said.end(), entries.begin(), entries.end());
  };
  list(held);
  list(root);
  disk.remove_directory(at("moved/e"));
  disk.unlink(at("moved/p"));
  disk.unlink(at("moved/f"));
  disk.remove_directory(at("moved"));
  said.push_back("stat of a removed directory " + std::to_string(fs.stat(held, "", stat)));
  said.push_back("stat in a removed directory " + std::to_string(fs.stat(held, "f", stat)));
  fs.close(held);
  fs.close(root);
  return said;
}

}  // namespace

TEST_CASE("real fs: answers as its model does") {
  FakeFs fake;
  REQUIRE(fake.make_directory("/w") == 0);
  const std::vector<std::string> expected = look(fake, fake, "/w");
  for (const std::string& place : Sandbox::places()) {
    CAPTURE(place);
    const Sandbox sandbox(place);
    RealFs real;
    RealDisk disk;
    const std::vector<std::string> said = look(real, disk, sandbox.path());
    CHECK(said.size() == expected.size());
    for (std::size_t i = 0; i < std::min(said.size(), expected.size()); ++i) {
      CHECK(said[i] == expected[i]);
    }
  }
}

TEST_CASE("real fs: inode, size and times are those of lstat(2)") {
  const Sandbox sandbox(Sandbox::places().front());
  RealFs fs;
  RealDisk disk;
  OpenMode mode;
  mode.create = true;
  const int handle = disk.open_file(sandbox.path() + "/f", mode);
  REQUIRE(disk.put(handle, 10) == 0);
  REQUIRE(disk.close_file(handle) == 0);
  const int root = fs.open_root(sandbox.path());
  Stat stat;
  REQUIRE(fs.stat(root, "f", stat) == 0);
  struct stat expected {};
  REQUIRE(::lstat((sandbox.path() + "/f").c_str(), &expected) == 0);
  CHECK(stat.inode == expected.st_ino);
  CHECK(stat.size == 10);
  CHECK(stat.mtime == expected.st_mtim.tv_sec * 1'000'000'000 + expected.st_mtim.tv_nsec);
  CHECK(stat.ctime == expected.st_ctim.tv_sec * 1'000'000'000 + expected.st_ctim.tv_nsec);
  CHECK(stat.mode == expected.st_mode);
  CHECK(stat.uid == expected.st_uid);
  CHECK_FALSE(stat.mount_root);
  CHECK(stat.mtime <= fs.stamp_clock() + 10'000'000);
  fs.close(root);
}

TEST_CASE("real fs: times that do not fit are the nearest that do") {
  const Sandbox sandbox(Sandbox::places().front());
  RealFs fs;
  const std::string path = sandbox.path() + "/f";
  std::ofstream(path) << 'x';
  constexpr std::time_t k2300 = 10'413'792'000;
  const std::array<timespec, 2> times{timespec{k2300, 0}, timespec{k2300, 7}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0) == 0);
  struct stat kept {};
  REQUIRE(::stat(path.c_str(), &kept) == 0);
  const int root = fs.open_root(sandbox.path());
  Stat stat;
  REQUIRE(fs.stat(root, "f", stat) == 0);
  if (kept.st_mtim.tv_sec == k2300) {  // or the file system has no such times
    CHECK(stat.mtime == INT64_MAX);
    CHECK(stat.far_seconds == k2300);
    CHECK(stat.far_fraction == kept.st_mtim.tv_nsec);
  }
  CHECK(stat.links == 1);
  fs.close(root);
}

TEST_CASE("real fs: a tree deeper than PATH_MAX") {
  const Sandbox sandbox(Sandbox::places().front());
  const std::string name(200, 'd');
  constexpr int kDepth = 30;  // 6,000 bytes
  std::vector<UniqueFd> handles;
  handles.emplace_back(::open(sandbox.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string path;
  for (int i = 0; i < kDepth; ++i) {
    REQUIRE(::mkdirat(handles.back().get(), name.c_str(), 0755) == 0);
    handles.emplace_back(
        ::openat(handles.back().get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(handles.back().get() >= 0);
    path += (i == 0 ? "" : "/") + name;
  }
  const int file = ::openat(handles.back().get(), "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  REQUIRE(file >= 0);
  RealFs fs;
  const int root = fs.open_root(sandbox.path());
  const int deepest = fs.open_directory(root, path);
  CHECK(deepest > 0);
  Stat stat;
  CHECK(fs.stat(root, path + "/f", stat) == 0);
  CHECK(fs.stat(root, path + "/none", stat) == -ENOENT);
  int error = 0;
  CHECK(fs.writer(root, path + "/f", stat, error) == Files::Writer::kOpen);
  ::close(file);
  CHECK(fs.writer(root, path + "/f", stat, error) == Files::Writer::kNone);
  if (deepest > 0) fs.close(deepest);
  fs.close(root);
  // What removes the sandbox goes by path.
  for (int i = kDepth; i > 0; --i) {
    const auto& above = handles[static_cast<std::size_t>(i - 1)];
    ::unlinkat(handles[static_cast<std::size_t>(i)].get(), "f", 0);
    CHECK(::unlinkat(above.get(), name.c_str(), AT_REMOVEDIR) == 0);
  }
}

TEST_CASE("real fs: a lease leaves nothing behind") {
  const Sandbox sandbox(Sandbox::places().front());
  RealFs fs;
  RealDisk disk;
  OpenMode mode;
  mode.create = true;
  REQUIRE(disk.close_file(disk.open_file(sandbox.path() + "/f", mode)) == 0);
  const int root = fs.open_root(sandbox.path());
  const int before = ::dup(0);
  ::close(before);
  Stat stat;
  int error = 0;
  for (int i = 0; i < 1'000; ++i) {
    REQUIRE(fs.writer(root, "f", stat, error) == Files::Writer::kNone);
    // A writer that does not wait is let in at once.
    const UniqueFd fd(::open((sandbox.path() + "/f").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(fd.get() == before);
  }
  fs.close(root);
}
