// Any records, in any order, also such as no kernel writes, while files come and go: the pipeline
// comes to rest, and in the end it knows its tree.
#include <sys/inotify.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "support/fake_world.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  unsigned next(unsigned below) {
    if (bytes_.empty()) return 0;
    const unsigned value = bytes_.front() % below;
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::span<const std::byte> take(std::size_t size) {
    const auto taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return std::as_bytes(taken);
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

const char* const kNames[] = {"a", "b", "a.part", "d", "d.tmp", "f", "", "."};
const char* const kPaths[] = {"/w/a", "/w/b", "/w/a.part", "/w/d", "/w/d/a", "/w/d/e", "/out/d"};

void write(FakeFs& fs, const std::string& path) {
  OpenMode mode;
  mode.create = mode.truncate = true;
  const int handle = fs.open_file(path, mode);
  if (handle < 0) return;
  fs.put(handle, 10);
  fs.close_file(handle);
}

void act(FakeWorld& world, Choices& input) {
  static constexpr Nanos kPauses[] = {1'000, 1'000'000, 300'000'000, 5'000'000'000};
  FakeFs& fs = world.fs();
  switch (input.next(10)) {
    case 0:
    case 1:
    case 2: {
      const int wd = static_cast<int>(input.next(8)) - 1;
      std::uint32_t mask = 1U << input.next(16);
      if (input.next(2) == 0) mask |= IN_ISDIR;
      const std::uint32_t cookie = input.next(4);
      world.notifier(0).queue(wd, mask, cookie, kNames[input.next(8)]);
      return;
    }
    case 3:
      return world.feed(input.take(16 + input.next(64)));
    case 4:
      return write(fs, kPaths[input.next(7)]);
    case 5:
      fs.make_directory(kPaths[input.next(7)]);
      return;
    case 6:
      fs.rename(kPaths[input.next(7)], kPaths[input.next(7)], input.next(3) == 0);
      return;
    case 7:
      if (fs.unlink(kPaths[input.next(7)]) != 0) fs.remove_directory(kPaths[input.next(7)]);
      return;
    case 8:
      return world.rescan();
    default:
      return world.wait(kPauses[input.next(4)]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  log::set_up("error", false);
  Choices input({data, size});
  const char* const processors[] = {"watch processor=completed",
                                    "watch processor=create-via-chunks",
                                    "watch processor=all-events"};
  WatchConfig config = watch_config(parse_command(processors[input.next(3)]));
  FakeWorld::Settings settings;
  settings.fine_times = input.next(2) == 0;
  settings.step = FakeWorld::Step::kLate;
  FakeWorld world(settings, {});
  config.path = world.root();
  world.start({config});
  while (!input.done()) {
    act(world, input);
    world.after_command();
  }
  if (config.processor != "completed") return 0;
  // What was made up is forgotten: after a rescan, a new file is told once.
  world.rescan();
  world.wait(100'000'000'000);
  std::vector<Event> events;
  world.take(events);
  events.clear();
  write(world.fs(), "/w/last");
  world.wait(1'000'000'000);
  world.take(events);
  int told = 0;
  for (const Event& event : events) {
    if (event.type == "file.completed" && event.relative_path() == "last") ++told;
  }
  if (told != 1) {
    std::fprintf(stderr, "the last file was told %d times\n", told);
    std::abort();
  }
  return 0;
}
