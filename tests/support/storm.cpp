#include "support/storm.hpp"

#include <map>
#include <random>
#include <set>
#include <vector>

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "process/filters.hpp"
#include "support/expectation.hpp"

namespace inotifier::testing {
namespace {

// More than the back-off of rescans and all that a processor waits for.
constexpr Nanos kCalm = 100'000'000'000;

class Storm {
 public:
  Storm(FakeWorld& world, const StormOptions& options)
      : world_(world),
        options_(options),
        random_(options.seed),
        filters_({}, kDefaultExclude, kDefaultTemporary) {}

  std::string run() {
    WatchConfig config = watch_config(parse_command("watch path=."));
    config.path = world_.root();
    config_ = config;
    if (options_.kills) world_.keep_journal();
    for (int i = 0; i < 5; ++i) operate();
    world_.start({config});
    root_ = world_.fs().open_root(world_.root());
    listen();
    for (int i = 0; i < options_.operations && problem_.empty(); ++i) {
      operate();
      listen();
      if (pick(4) == 0) pass(kPauses[pick(kPauses.size())]);
    }
    if (overflowing_) overflow(false);
    if (!running_) start();
    for (const int handle : open_) world_.disk().close_file(handle);
    log_ += "  close all\n";
    world_.after_command();
    pass(kCalm);
    compare(root_, "");
    // What was told is enough: a rescan finds nothing.
    if (problem_.empty()) {
      const std::size_t before = told_;
      world_.rescan();
      pass(kCalm);
      if (problem_.empty() && told_ != before) problem_ = "a rescan found something: " + last_text_;
    }
    world_.fs().close(root_);
    if (problem_.empty()) return "";
    return problem_ + "\n" + log_ + "  seed " + std::to_string(options_.seed) + " [" +
           world_.label() + "]";
  }

 private:
  static constexpr std::array<Nanos, 6> kPauses{100'000,    1'500'000,   5'000'000,
                                                50'000'000, 250'000'000, 1'200'000'000};

  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }

  std::string directory() {
    static const std::vector<std::string> kPlaces{"",    "",      "a",      "b",     "a/c",
                                                  "b/c", "a/c/d", "../out", "t.tmp", "a/t.tmp"};
    return options_.directories ? kPlaces[pick(kPlaces.size())] : pick(5) == 0 ? "../out" : "";
  }

  std::string file() {
    static const std::vector<std::string> kNames{"f", "g", "h", "f.part", "g.part"};
    return join(directory(), kNames[pick(kNames.size())]);
  }

  std::string absolute(const std::string& relative) const {
    if (relative.starts_with("../")) return "/" + relative.substr(3);
    return join(world_.root(), relative);
  }

  void note(const std::string& text, int result) {
    if (result >= 0) log_ += "  " + text + "\n";
    world_.after_command();
  }

  void operate() {
    Disk& disk = world_.disk();
    const std::string one = file();
    const std::string two = file();
    const std::string from = directory();
    const std::string to = directory();
    switch (pick(options_.kills ? 22 : options_.overflows ? 20 : 18)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        OpenMode mode;
        mode.create = mode.truncate = true;
        const int handle = disk.open_file(absolute(one), mode);
        if (handle < 0) return;
        disk.put(handle, static_cast<std::int64_t>(1 + pick(3)));
        return note("write " + one, disk.close_file(handle));
      }
      case 4:
      case 5: {
        OpenMode mode;
        mode.create = pick(2) == 0;
        mode.append = true;
        const int handle = disk.open_file(absolute(one), mode);
        if (handle >= 0) open_.push_back(handle);
        return note("open " + std::to_string(handle) + " " + one, handle);
      }
      case 6:
      case 7: {
        if (open_.empty()) return;
        const int handle = open_[pick(open_.size())];
        return note("put " + std::to_string(handle), disk.put(handle, 1));
      }
      case 8:
      case 9: {
        if (open_.empty()) return;
        const std::size_t at = pick(open_.size());
        const int handle = open_[at];
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
        return note("close " + std::to_string(handle), disk.close_file(handle));
      }
      case 10:
      case 11: {
        const bool exchange = pick(4) == 0;
        return note((exchange ? "exchange " : "rename ") + one + " " + two,
                    disk.rename(absolute(one), absolute(two), exchange));
      }
      case 12:
        return note("unlink " + one, disk.unlink(absolute(one)));
      case 13: {
        // The first name goes: what is written through another name gives this one no event.
        const int result = disk.link(absolute(one), absolute(two));
        if (result == 0) disk.unlink(absolute(one));
        return note("link and unlink " + one + " " + two, result);
      }
      case 14:
        if (from.empty() || !options_.directories) return;
        return note("mkdir " + from, disk.make_directory(absolute(from)));
      case 15:
      case 16: {
        if (from.empty() || to.empty() || !options_.directories) return;
        const bool exchange = pick(4) == 0;
        return note((exchange ? "exchange directories " : "rename directory ") + from + " " + to,
                    disk.rename(absolute(from), absolute(to), exchange));
      }
      case 17:
        if (from.empty() || from == "../out") return;
        return note("rmdir " + from, disk.remove_directory(absolute(from)));
      case 18:
        return overflow(!overflowing_);
      case 19:
        if (root_ < 0) return;
        if (running_) world_.rescan();
        return note("rescan", 0);
      default:
        if (root_ < 0) return;
        return running_ ? kill() : start();
    }
  }

  void kill() {
    listen();
    log_ += "  kill\n";
    running_ = overflowing_ = false;
    world_.kill();
    listen();
  }

  void start() {
    log_ += "  start\n";
    running_ = true;
    world_.start({config_});
    listen();
  }

  void overflow(bool begin) {
    if (root_ < 0 || !running_) return;
    overflowing_ = begin;
    log_ += begin ? "  overflow begin\n" : "  overflow end\n";
    world_.overflow(0, begin);
  }

  void pass(Nanos time) {
    log_ += "  " + std::to_string(time / 1000) + " us pass\n";
    world_.wait(time);
    listen();
  }

  void listen() {
    std::vector<Event> events;
    world_.take(events);
    for (const Event& event : events) {
      if (event.type != "file.completed") continue;
      ++told_;
      last_text_ = text_of(event, nullptr);
      log_ += "    -> " + last_text_ + "\n";
      const std::string path = event.relative_path();
      if (!ids_.insert(event.id).second) problem_ = "told twice: " + last_text_;
      last_[path] = event;
      if (filters_.file(path) != Filters::Verdict::kAdmitted) problem_ = "not to be told: " + path;
      // The disk stands still while the pipeline works.
      Stat stat;
      int error = 0;
      const Files::Writer writer = world_.fs().writer(root_, path, stat, error);
      if (writer == Files::Writer::kOpen &&
          std::to_string(stat.inode) == value_of(event, "inode")) {
        problem_ = "told while it is written: " + last_text_;
      }
    }
  }

  void compare(int directory, const std::string& path) {
    FakeFs& fs = world_.fs();
    int error = 0;
    const auto listing = fs.list(directory, error);
    Entry entry;
    while (listing != nullptr && listing->next(entry) == 1 && problem_.empty()) {
      const std::string name(entry.name);
      const std::string at = join(path, name);
      if (entry.kind == Entry::Kind::kDirectory) {
        if (!filters_.enters(at)) continue;
        const int below = fs.open_directory(directory, name);
        compare(below, at);
        fs.close(below);
        continue;
      }
      if (filters_.file(at) != Filters::Verdict::kAdmitted) continue;
      Stat stat;
      fs.stat(directory, name, stat);
      const auto found = last_.find(at);
      if (found == last_.end()) {
        problem_ = "never told: " + at;
      } else if (value_of(found->second, "inode") != std::to_string(stat.inode) ||
                 found->second.size() != stat.size ||
                 value_of(found->second, "mtime") != rfc3339(stat.mtime)) {
        problem_ = "its last version was not told: " + at + " (inode " +
                   std::to_string(stat.inode) + ", size " + std::to_string(stat.size) + ", mtime " +
                   rfc3339(stat.mtime) + "; told: inode " + value_of(found->second, "inode") +
                   " mtime " + value_of(found->second, "mtime") + ")";
      }
    }
  }

  FakeWorld& world_;
  StormOptions options_;
  std::mt19937 random_;
  Filters filters_;
  int root_ = -1;
  std::vector<int> open_;
  bool overflowing_ = false;
  bool running_ = true;
  WatchConfig config_;
  std::map<std::string, Event> last_;
  std::set<std::string> ids_;
  std::size_t told_ = 0;
  std::string last_text_;
  std::string log_;
  std::string problem_;
};

}  // namespace

std::string run_storm(FakeWorld& world, const StormOptions& options) {
  try {
    return Storm(world, options).run();
  } catch (const std::exception& error) {
    return std::string(error.what()) + " (seed " + std::to_string(options.seed) + ") [" +
           world.label() + "]";
  }
}

}  // namespace inotifier::testing
