// The model is only as good as it is like the kernel: the same calls, the same records.
#include "support/fake_fs.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "source/decode.hpp"
#include "support/sandbox.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

constexpr Nanos kTick = 4'000'000;

/// Records as text; cookies are numbered in the order of their first appearance.
class Transcript {
 public:
  void add(std::span<const std::byte> bytes) {
    Decoder decoder(bytes);
    Record record;
    while (decoder.next(record)) lines_.push_back(text(record));
    CHECK_FALSE(decoder.broken());
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string text(const Record& record) {
    static const std::pair<std::uint32_t, const char*> kNames[] = {{IN_ACCESS, "ACCESS"},
                                                                   {IN_MODIFY, "MODIFY"},
                                                                   {IN_ATTRIB, "ATTRIB"},
                                                                   {IN_CLOSE_WRITE, "CLOSE_WRITE"},
                                                                   {IN_CLOSE_NOWRITE, "CLOSE"},
                                                                   {IN_OPEN, "OPEN"},
                                                                   {IN_MOVED_FROM, "MOVED_FROM"},
                                                                   {IN_MOVED_TO, "MOVED_TO"},
                                                                   {IN_CREATE, "CREATE"},
                                                                   {IN_DELETE, "DELETE"},
                                                                   {IN_DELETE_SELF, "DELETE_SELF"},
                                                                   {IN_MOVE_SELF, "MOVE_SELF"},
                                                                   {IN_IGNORED, "IGNORED"},
                                                                   {IN_Q_OVERFLOW, "Q_OVERFLOW"},
                                                                   {IN_ISDIR, "ISDIR"}};
    std::string line = std::to_string(record.wd);
    for (const auto& [bit, name] : kNames) {
      if ((record.mask & bit) != 0) line += std::string(" ") + name;
    }
    line += ' ';
    line += record.name.starts_with('#') ? "#inode" : record.name;
    if (record.cookie != 0) {
      const auto number = cookies_.try_emplace(record.cookie, cookies_.size() + 1).first->second;
      line += " <" + std::to_string(number) + ">";
    }
    return line;
  }
  std::vector<std::string> lines_;
  std::map<std::uint32_t, std::size_t> cookies_;
};

/// What a sequence of calls needs of either world. Paths begin with `root`.
struct Stage {
  Disk& disk;
  std::string root;
  std::function<void(const std::string&)> watch;  ///< IN_ALL_EVENTS, relative path
  std::function<int(const std::string&)> hold;    ///< opens a directory as the watcher does
  std::function<void(int)> release;
  std::string at(const std::string& relative) const { return root + "/" + relative; }
};
using Play = std::function<void(Stage&)>;

std::vector<std::string> play_fake(const Play& play, std::uint32_t mask) {
  FakeFs fs;
  fs.set_time({kTick, 1'000 * kTick});
  FakeNotifier notifier(fs);
  REQUIRE(fs.make_directory("/w") == 0);
  const int root = fs.open_root("/w");
  Stage stage{fs, "/w",
              [&](const std::string& path) {
                const int handle = fs.open_directory(root, path);
                REQUIRE(notifier.add_watch(handle, mask) > 0);
                fs.close(handle);
              },
              [&](const std::string& path) { return fs.open_directory(root, path); },
              [&](int handle) { fs.close(handle); }};
  stage.watch("");
  play(stage);
  Transcript transcript;
  transcript.add(notifier.read());
  CHECK(notifier.position() == notifier.queued_bytes());
  return transcript.lines();
}

std::vector<std::string> play_kernel(const Play& play, std::uint32_t mask) {
  const Sandbox sandbox(Sandbox::places().front());
  RealDisk disk;
  const UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  REQUIRE(inotify.get() >= 0);
  Stage stage{disk, sandbox.path(),
              [&](const std::string& path) {
                const std::string whole = sandbox.path() + "/" + path;
                REQUIRE(inotify_add_watch(inotify.get(), whole.c_str(), mask) > 0);
              },
              [&](const std::string& path) {
                const std::string whole = sandbox.path() + "/" + path;
                return ::open(whole.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
              },
              [](int fd) { ::close(fd); }};
  stage.watch("");
  play(stage);
  Transcript transcript;
  alignas(inotify_event) std::byte buffer[65536];
  for (ssize_t size = 0; (size = ::read(inotify.get(), buffer, sizeof buffer)) > 0;) {
    transcript.add({buffer, static_cast<std::size_t>(size)});
  }
  return transcript.lines();
}

void compare(const Play& play) {
  for (const std::uint32_t mask : {std::uint32_t{IN_ALL_EVENTS},
                                   std::uint32_t{IN_ALL_EVENTS} | std::uint32_t{IN_EXCL_UNLINK}}) {
    const std::vector<std::string> kernel = play_kernel(play, mask);
    const std::vector<std::string> fake = play_fake(play, mask);
    CHECK(kernel.size() == fake.size());
    for (std::size_t i = 0; i < std::max(kernel.size(), fake.size()); ++i) {
      CAPTURE(mask);
      CAPTURE(i);
      CHECK((i < kernel.size() ? kernel[i] : "-") == (i < fake.size() ? fake[i] : "-"));
    }
  }
}

void write(Stage& s, const std::string& path, std::int64_t size, bool truncate = true) {
  OpenMode mode;
  mode.create = true;
  mode.truncate = truncate;
  const int handle = s.disk.open_file(s.at(path), mode);
  REQUIRE(handle >= 0);
  if (size > 0) REQUIRE(s.disk.put(handle, size) == 0);
  REQUIRE(s.disk.close_file(handle) == 0);
}

}  // namespace

TEST_CASE("fake fs: files are made, written, renamed and removed as in the kernel") {
  compare([](Stage& s) {
    REQUIRE(s.disk.make_directory(s.at("d")) == 0);
    s.watch("d");
    write(s, "d/f", 10);
    write(s, "d/f", 10);
    write(s, "d/f", 0);
    write(s, "d/f", 5, false);
    CHECK(s.disk.rename(s.at("d/f"), s.at("g"), false) == 0);
    write(s, "h", 1);
    CHECK(s.disk.rename(s.at("h"), s.at("g"), false) == 0);
    CHECK(s.disk.unlink(s.at("g")) == 0);
    CHECK(s.disk.unlink(s.at("g")) == -ENOENT);
  });
}

TEST_CASE("fake fs: links, temporary files and mappings are told as in the kernel") {
  compare([](Stage& s) {
    write(s, "a", 10);
    CHECK(s.disk.link(s.at("a"), s.at("b")) == 0);
    CHECK(s.disk.rename(s.at("a"), s.at("b"), false) == 0);
    CHECK(s.disk.unlink(s.at("b")) == 0);
    OpenMode mode;
    mode.tmpfile = true;
    const int handle = s.disk.open_file(s.root, mode);
    REQUIRE(handle >= 0);
    CHECK(s.disk.put(handle, 10) == 0);
    CHECK(s.disk.link_handle(handle, s.at("t")) == 0);
    CHECK(s.disk.close_file(handle) == 0);
    const int mapped = s.disk.open_file(s.at("t"), {});
    REQUIRE(mapped >= 0);
    CHECK(s.disk.map(mapped) == 0);
    CHECK(s.disk.close_file(mapped) == 0);
    CHECK(s.disk.unmap(mapped) == 0);
    CHECK(s.disk.make_symlink("t", s.at("s")) == 0);
    CHECK(s.disk.make_fifo(s.at("p")) == 0);
  });
}

TEST_CASE("fake fs: what is done to open files is told under the name they were opened by") {
  compare([](Stage& s) {
    REQUIRE(s.disk.make_directory(s.at("d")) == 0);
    s.watch("d");
    write(s, "t", 1);
    const int moved = s.disk.open_file(s.at("t"), {});
    CHECK(s.disk.rename(s.at("t"), s.at("d/u"), false) == 0);
    CHECK(s.disk.put(moved, 1) == 0);
    write(s, "z", 2);
    CHECK(s.disk.rename(s.at("z"), s.at("d/u"), false) == 0);
    CHECK(s.disk.put(moved, 1) == 0);
    CHECK(s.disk.close_file(moved) == 0);
    const int removed = s.disk.open_file(s.at("d/u"), {});
    CHECK(s.disk.unlink(s.at("d/u")) == 0);
    CHECK(s.disk.put(removed, 1) == 0);
    CHECK(s.disk.close_file(removed) == 0);
  });
}

TEST_CASE("fake fs: attributes are told as in the kernel") {
  compare([](Stage& s) {
    REQUIRE(s.disk.make_directory(s.at("d")) == 0);
    s.watch("d");
    write(s, "f", 1);
    CHECK(s.disk.change_mode(s.at("f"), 0600) == 0);
    CHECK(s.disk.set_times(s.at("f"), 1'000'000'000) == 0);
    CHECK(s.disk.truncate(s.at("f"), 7) == 0);
    const int handle = s.disk.open_file(s.at("f"), {});
    CHECK(s.disk.touch(handle) == 0);
    CHECK(s.disk.resize(handle, 3) == 0);
    CHECK(s.disk.close_file(handle) == 0);
    CHECK(s.disk.change_mode(s.at("d"), 0700) == 0);
  });
}

TEST_CASE("fake fs: directories are moved and removed as in the kernel") {
  compare([](Stage& s) {
    for (const char* name : {"a", "b", "c"}) {
      REQUIRE(s.disk.make_directory(s.at(name)) == 0);
      s.watch(name);
    }
    CHECK(s.disk.rename(s.at("a"), s.at("b"), true) == 0);
    CHECK(s.disk.rename(s.at("a"), s.at("b"), false) == 0);
    CHECK(s.disk.rename(s.at("b"), s.at("c/d"), false) == 0);
    CHECK(s.disk.rename(s.at("c"), s.at("c/d/e"), false) == -EINVAL);
    CHECK(s.disk.rename(s.at("c/d"), s.at("c"), true) == -EINVAL);
    CHECK(s.disk.rename(s.at("c"), s.at("c/d"), true) == -EINVAL);
    CHECK(s.disk.rename(s.at("c/d"), s.at("c"), false) == -ENOTEMPTY);
    const int held = s.hold("c/d");
    REQUIRE(held >= 0);
    CHECK(s.disk.remove_directory(s.at("c/d")) == 0);
    CHECK(s.disk.remove_directory(s.at("c")) == 0);
    s.release(held);
  });
}

TEST_CASE("fake fs: equal neighbours merge, also two moves onto one name") {
  compare([](Stage& s) {
    REQUIRE(s.disk.make_directory(s.at("d")) == 0);
    REQUIRE(s.disk.make_directory(s.at("e")) == 0);
    s.watch("e");
    write(s, "d/x", 1);
    write(s, "d/y", 1);
    CHECK(s.disk.rename(s.at("d/x"), s.at("e/z"), false) == 0);
    CHECK(s.disk.rename(s.at("d/y"), s.at("e/z"), false) == 0);
    const int one = s.disk.open_file(s.at("e/z"), {});
    const int two = s.disk.open_file(s.at("e/z"), {});
    CHECK(s.disk.close_file(one) == 0);
    CHECK(s.disk.close_file(two) == 0);
  });
}

TEST_CASE("fake fs: a full queue says so once, and goes on when it has been read") {
  FakeFs fs;
  REQUIRE(fs.make_directory("/w") == 0);
  FakeNotifier notifier(fs);
  const int root = fs.open_root("/w");
  REQUIRE(notifier.add_watch(root, IN_CREATE) == 1);
  notifier.limit(2);
  for (const char* path : {"/w/a", "/w/b", "/w/c", "/w/d"}) CHECK(fs.make_fifo(path) == 0);
  CHECK(notifier.length() == 3);
  Transcript transcript;
  transcript.add(notifier.read(2));
  CHECK(fs.make_fifo("/w/e") == 0);
  CHECK(fs.make_fifo("/w/f") == 0);
  transcript.add(notifier.read());
  CHECK(transcript.lines() ==
        std::vector<std::string>{"1 CREATE a", "1 CREATE b", "-1 Q_OVERFLOW ", "1 CREATE e"});
}

TEST_CASE("fake fs: a removed watch gets IN_IGNORED, its number is not used again") {
  FakeFs fs;
  REQUIRE(fs.make_directory("/w") == 0);
  FakeNotifier notifier(fs);
  const int root = fs.open_root("/w");
  CHECK(notifier.add_watch(root, IN_CREATE) == 1);
  CHECK(notifier.add_watch(root, IN_CREATE) == 1);
  CHECK(fs.make_fifo("/w/a") == 0);
  notifier.remove_watch(1);
  CHECK(fs.make_fifo("/w/b") == 0);
  CHECK(notifier.add_watch(root, IN_CREATE) == 2);
  Transcript transcript;
  transcript.add(notifier.read());
  CHECK(transcript.lines() == std::vector<std::string>{"1 CREATE a", "1 IGNORED "});
}

TEST_CASE("fake fs: watches run out") {
  FakeOptions options;
  options.max_watches = 1;
  FakeFs fs(options);
  REQUIRE(fs.make_directory("/w") == 0);
  REQUIRE(fs.make_directory("/w/d") == 0);
  FakeNotifier notifier(fs);
  const int root = fs.open_root("/w");
  const int below = fs.open_directory(root, "d");
  CHECK(notifier.add_watch(root, IN_CREATE) == 1);
  CHECK(notifier.add_watch(below, IN_CREATE) == -ENOSPC);
  CHECK(notifier.add_watch(root, IN_CREATE) == 1);
  notifier.remove_watch(1);
  CHECK(notifier.add_watch(below, IN_CREATE) == 2);
}

TEST_CASE("fake fs: a writer is seen as long as it has the file, windows included") {
  FakeOptions options;
  options.create_window = 1'000;
  options.close_window = 1'000;
  FakeFs fs(options);
  fs.set_time({0, kTick});
  REQUIRE(fs.make_directory("/w") == 0);
  const int root = fs.open_root("/w");
  Stat stat;
  int error = 0;
  OpenMode mode;
  mode.create = true;
  const int handle = fs.open_file("/w/f", mode);
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kNone);
  fs.set_time({1'000, kTick});
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kOpen);
  CHECK(fs.put(handle, 10) == 0);
  CHECK(fs.map(handle) == 0);
  CHECK(fs.close_file(handle) == 0);
  fs.set_time({10'000, kTick});
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kOpen);
  CHECK(fs.unmap(handle) == 0);
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kOpen);
  fs.set_time({11'000, kTick});
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kNone);
  CHECK(stat.size == 10);
  fs.set_leases(false);
  CHECK(fs.writer(root, "f", stat, error) == Files::Writer::kUnknown);
  CHECK(error == EINVAL);
  CHECK(fs.writer(root, "g", stat, error) == Files::Writer::kGone);
  CHECK(fs.make_fifo("/w/p") == 0);
  CHECK(fs.writer(root, "p", stat, error) == Files::Writer::kNotRegular);
}

TEST_CASE("fake fs: a freed inode number goes to the next file, unless somebody holds it") {
  FakeFs fs;
  REQUIRE(fs.make_directory("/w") == 0);
  OpenMode mode;
  mode.create = true;
  const int first = fs.open_file("/w/a", mode);
  const std::uint64_t number = fs.inode_number("/w/a");
  CHECK(fs.unlink("/w/a") == 0);
  CHECK(fs.open_file("/w/b", mode) >= 0);
  CHECK(fs.inode_number("/w/b") != number);
  CHECK(fs.close_file(first) == 0);
  CHECK(fs.open_file("/w/c", mode) >= 0);
  CHECK(fs.inode_number("/w/c") == number);
}

TEST_CASE("fake fs: coarse times tie, multigrain times do not once somebody has looked") {
  for (const bool fine : {false, true}) {
    CAPTURE(fine);
    FakeOptions options;
    options.traits.fine_times = fine;
    FakeFs fs(options);
    fs.set_time({0, 10 * kTick});
    REQUIRE(fs.make_directory("/w") == 0);
    const int root = fs.open_root("/w");
    OpenMode mode;
    mode.create = true;
    const int handle = fs.open_file("/w/f", mode);
    CHECK(fs.put(handle, 1) == 0);
    Stat first;
    CHECK(fs.stat(root, "f", first) == 0);
    fs.set_time({1'000, 10 * kTick + 1'000});
    CHECK(fs.stamp_clock() == 10 * kTick);
    CHECK(fs.put(handle, 1) == 0);
    Stat second;
    CHECK(fs.stat(root, "f", second) == 0);
    CHECK((second.mtime > first.mtime) == fine);
    fs.set_time({kTick, 11 * kTick});
    CHECK(fs.put(handle, 1) == 0);
    CHECK(fs.stat(root, "f", second) == 0);
    CHECK(second.mtime > first.mtime);
  }
}

TEST_CASE("fake fs: what the pipeline opens is a directory reached without symbolic links") {
  FakeFs fs;
  REQUIRE(fs.make_directory("/w") == 0);
  REQUIRE(fs.make_directory("/w/d") == 0);
  REQUIRE(fs.make_directory("/w/d/e") == 0);
  REQUIRE(fs.make_symlink("/w/d", "/w/s") == 0);
  const int root = fs.open_root("/w");
  CHECK(fs.open_directory(root, "s") == -ENOTDIR);
  CHECK(fs.open_directory(root, "s/e") == -ELOOP);
  CHECK(fs.open_directory(root, "none") == -ENOENT);
  const int through = fs.open_root("/w/s");
  CHECK(through > 0);
  Stat stat;
  CHECK(fs.stat(through, "e", stat) == 0);
  // A handle stays with its directory.
  const int handle = fs.open_directory(root, "d");
  CHECK(fs.rename("/w/d", "/w/moved", false) == 0);
  CHECK(fs.stat(handle, "e", stat) == 0);
  CHECK(fs.stat(root, "d", stat) == -ENOENT);
}

TEST_CASE("fake fs: a mount hides what was there") {
  FakeFs fs;
  REQUIRE(fs.make_directory("/w") == 0);
  REQUIRE(fs.make_directory("/w/m") == 0);
  REQUIRE(fs.make_fifo("/w/m/old") == 0);
  CHECK(fs.mounts_below("/w") == "");
  REQUIRE(fs.mount("/w/m") == 0);
  CHECK(fs.mounts_below("/w") != "");
  const int root = fs.open_root("/w");
  Stat stat;
  CHECK(fs.stat(root, "m/old", stat) == -ENOENT);
  CHECK(fs.stat(root, "m", stat) == 0);
  CHECK(stat.mount_root);
  CHECK(fs.rename("/w/m", "/w/n", false) == -EBUSY);
  CHECK(fs.unmount("/w/m") == 0);
  CHECK(fs.stat(root, "m/old", stat) == 0);
}
