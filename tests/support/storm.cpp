#include "support/storm.hpp"

#include <array>
#include <functional>
#include <random>
#include <set>
#include <sstream>

#include "base/path.hpp"
#include "support/fake_world.hpp"
#include "support/script_runner.hpp"

namespace inotifier::testing {
namespace {

constexpr int kOperationsBeforeStart = 5;
constexpr int kOperations = 60;

class Generator {
 public:
  Generator(const StormKind& kind, std::uint32_t seed)
      : kind_(kind), shares_(seed % 3), random_(seed) {
    std::istringstream words(kind.with);
    for (std::string word; words >> word;) with_.insert(word);
    fill();
  }

  std::string script() {
    header();
    if (has("directories") && pick(4) != 0) {
      for (const char* directory : {"a", "b", "a/c"}) line(std::string("mkdir ") + directory);
    }
    for (int i = 0; i < kOperationsBeforeStart; ++i) operate();
    started_ = true;
    line("start");
    for (int i = 0; i < kOperations; ++i) {
      operate();
      if (pick(4) == 0) pass();
    }
    return text_;
  }

 private:
  using Operation = void (Generator::*)();

  bool has(const char* word) const { return with_.contains(word); }

  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  template <std::size_t N>
  const char* one_of(const std::array<const char*, N>& words) {
    return words[pick(N)];
  }

  void add(int weight, Operation operation) {
    for (int i = 0; i < weight; ++i) operations_.push_back(operation);
  }

  void fill() {
    if (has("chunks")) {
      add(4, &Generator::write_part);
      add(4, &Generator::finish_part);
      add(2, &Generator::write_plain);
    } else {
      add(4, &Generator::write);
      add(2, &Generator::open);
      add(2, &Generator::put);
      add(2, &Generator::close);
      add(2, &Generator::rename);
      add(1, &Generator::link);
    }
    add(1, &Generator::unlink);
    if (has("directories")) add(4, &Generator::directories);
    if (has("scans")) add(2, &Generator::scans);
    if (has("kills")) add(2, &Generator::kill);
    if (has("power")) add(2, &Generator::power);
    if (has("metadata")) add(8, &Generator::metadata);
    if (has("mounts")) add(5, &Generator::mounts);
    if (has("binds")) add(3, &Generator::binds);
    if (has("root")) add(3, &Generator::root);
    if (has("faults")) add(5, &Generator::faults);
    if (has("hangs")) add(3, &Generator::hangs);
    if (has("clock")) add(3, &Generator::clock);
    if (has("full")) add(3, &Generator::full);
    if (has("special")) add(4, &Generator::special);
  }

  void header() {
    static const std::array<const char*, 3> kSteps{"prompt", "late", "single"};
    static const std::array<const char*, 2> kClocks{"multigrain", "coarse"};
    static const std::array<const char*, 3> kGrains{"1s", "2s", "1us"};
    line(std::string("fake-only: a storm of kind ") + kind_.name);
    std::string fake = std::string("fake: step=") + one_of(kSteps) + " clock=" + one_of(kClocks);
    if (has("grain")) fake += std::string(" granularity=") + one_of(kGrains);
    if (has("births") && pick(2) == 0) fake += " births=off";
    if (has("names")) fake += " name_max=1000";
    if (pick(4) == 0) fake += " close_window=2ms";
    if (pick(4) == 0) fake += " create_window=300us";
    if (shares_ != 0) fake += " instance=shared";
    if (shares_ == 2) fake += " companion=/out";
    line(fake + ' ' + kind_.fake);
    line(std::string("watch path=. ") + kind_.watch);
    line(std::string("audit") + (has("plain") ? " strict" : "") +
         (has("progress") ? " progress" : ""));
  }

  void line(const std::string& text) { text_ += text + '\n'; }

  /// A writer's command, perhaps within one of the daemon's calls.
  void command(const std::string& text) {
    if (has("races") && started_ && pick(3) == 0) {
      line("during " + std::to_string(1 + pick(25)) + ' ' + text);
    } else {
      line(text);
    }
  }

  void pass() {
    static const std::array<const char*, 6> kPauses{"100us", "1500us", "5ms",
                                                    "50ms",  "250ms",  "1200ms"};
    const std::string pause = one_of(kPauses);
    if (has("quick")) {
      // Whoever writes does so at least every second.
      for (const std::string& handle : open_) line("put " + handle + " 1");
      line("pass " + (pause == "1200ms" ? "900ms" : pause));
    } else {
      line("pass " + pause);
    }
    if (has("clock") && !overflowing_ && pick(20) == 0) line("pass 10m");
  }

  void operate() { (this->*operations_[pick(operations_.size())])(); }

  // --- names

  std::string directory() {
    static const std::array<const char*, 10> kPlaces{"",    "",      "a",      "b",     "a/c",
                                                     "b/c", "a/c/d", "../out", "t.tmp", "a/t.tmp"};
    return has("directories") ? one_of(kPlaces) : pick(5) == 0 ? "../out" : "";
  }

  std::string name() {
    static const std::array<const char*, 5> kNames{"f", "g", "h", "f.part", "g.part"};
    static const std::array<const char*, 8> kLong{"\\{255:a}",  "\\{256:a}",      "\\{700:a}",
                                                  "\\{1000:a}", "\\{251:a}.part", "\\{995:a}.part",
                                                  "\\xFF\\xFE", "\\n\\s\\t"};
    return has("names") && pick(2) == 0 ? one_of(kLong) : one_of(kNames);
  }

  std::string file() { return join(directory(), name()); }

  /// One that is below the root, "" included only if asked for.
  std::string inner_directory() {
    static const std::array<const char*, 5> kPlaces{"a", "b", "a/c", "b/c", "a/c/d"};
    return one_of(kPlaces);
  }

  // --- operations

  void write() { command("write " + file() + ' ' + std::to_string(1 + pick(3))); }

  void open() {
    const std::string handle = "W" + std::to_string(last_handle_++);
    open_.push_back(handle);
    line("open " + handle + ' ' + file() + (pick(2) == 0 ? " create append" : " append"));
  }

  void put() {
    if (!open_.empty()) command("put " + open_[pick(open_.size())] + " 1");
  }

  void close() {
    if (open_.empty()) return;
    const std::size_t at = pick(open_.size());
    command("close " + open_[at]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void rename() { command((pick(4) == 0 ? "exchange " : "rename ") + file() + ' ' + file()); }

  /// The first name goes: what is written through another name gives this one no event.
  void link() {
    const std::string from = file();
    line("link " + from + ' ' + file());
    line("unlink " + from);
  }

  void unlink() { command("unlink " + file()); }

  void directories() {
    const std::string from = directory();
    const std::string to = directory();
    const std::size_t what = pick(4);
    if (from.empty() || from == "../out") return;
    if (what == 0) return command("mkdir " + from);
    if (what == 1) return command("rmdir " + from);
    if (to.empty()) return;
    const std::string target = to == "../out" ? "../out/d" : to;
    command((pick(4) == 0 ? "exchange " : "rename ") +
            (pick(2) == 0 ? from + ' ' + target : target + ' ' + from));
  }

  void scans() {
    if (pick(2) == 0) return line("rescan");
    overflowing_ = !overflowing_;
    line(overflowing_ ? "overflow begin" : "overflow end");
  }

  void kill() {
    killed_ = !killed_;
    overflowing_ = false;
    line(killed_ ? "kill" : "start");
  }

  void power() {
    if (pick(2) == 0) return line("save");
    line("kill");
    line("rewind");
    line("start");
    overflowing_ = killed_ = false;
  }

  void metadata() {
    static const std::array<const char*, 4> kTimes{"1000000000", "1699999000", "1700000001",
                                                   "4000000000"};
    const std::string one = file();
    switch (pick(10)) {
      case 0:
        return command("chmod " + one + (pick(2) == 0 ? " 600" : " 644"));
      case 1:
        return command("setxattr " + one);
      case 2:
        return command("utimes " + one + ' ' + one_of(kTimes));
      case 3:
        return command("link " + one + " ../out/l" + std::to_string(last_link_++));
      case 4:
        return command("copytimes " + file() + ' ' + one);
      case 5:  // the same file sent again
        if (pick(2) == 0) command("unlink " + one);
        line("write " + one + " 2");
        return command("utimes " + one + " 1600000000");
      case 6: {  // read back
        const std::string handle = "R" + std::to_string(last_handle_++);
        line("open " + handle + ' ' + one + " read");
        line("read " + handle);
        return command("close " + handle);
      }
      case 7:
        return command("touch " + one);
      case 8: {  // written, and its times set while it was open
        const std::string handle = "W" + std::to_string(last_handle_++);
        line("open " + handle + ' ' + one);
        if (pick(2) == 0) pass();
        line("put " + handle + " 1");
        if (pick(2) == 0) pass();
        line("utimes " + one + " 1600000000");
        return command("close " + handle);
      }
      default: {
        const std::string handle = "W" + std::to_string(last_handle_++);
        line("open " + handle + ' ' + one);
        line("resize " + handle + ' ' + std::to_string(pick(3)));
        return command("close " + handle);
      }
    }
  }

  void mounts() {
    static const std::array<const char*, 3> kVolumes{"", " v1", " v2"};
    const std::string at = inner_directory();
    if (pick(2) == 0) return line("mount " + at + one_of(kVolumes));
    line(std::string("umount ") + (pick(3) == 0 ? "-l " : "") + at);
  }

  void binds() {
    const std::string at = inner_directory();
    if (pick(3) == 0) return line("umount " + at);
    line("bind " + (pick(4) == 0 ? "../out" : inner_directory()) + ' ' + at);
  }

  void root() {
    switch (pick(8)) {
      case 0:
        line("rename . ../old");
        return line("mkdir .");
      case 1:
        line("rename . ../old");
        return line("rename ../old/a .");
      case 2:
        return line("rename . ../old");
      case 3:
        return line("rename ../old .");
      case 4:
        return line("exchange . ../old");
      case 5:
        return line("mkdir .");
      case 6:
        return line("mount . v3");
      default:
        return line("umount .");
    }
  }

  void faults() {
    static const std::array<const char*, 6> kCalls{"stat", "open", "lease",
                                                   "list", "next", "watch"};
    static const std::array<const char*, 12> kErrors{"EIO",    "ENOMEM", "EMFILE",    "ENFILE",
                                                     "ESTALE", "EAGAIN", "ETIMEDOUT", "EINTR",
                                                     "ENOLCK", "EINVAL", "EACCES",    "EPERM"};
    // A right that is given back gives an ATTRIB; a fault does not.
    constexpr std::size_t kRights = 2;
    if (pick(4) == 0) return line("mend");
    const bool of_directory = pick(3) == 0;
    const std::string at = of_directory ? inner_directory() : file();
    const char* error = kErrors[pick(kErrors.size() - (of_directory ? kRights : 0))];
    line("fault " + at + ' ' + one_of(kCalls) + ' ' + error +
         (pick(3) == 0 ? "" : ' ' + std::to_string(1 + pick(3))));
  }

  void hangs() {
    if (pick(3) == 0) return line("mend");
    line("hang " + file());
  }

  void clock() {
    static const std::array<const char*, 6> kSteps{"1ms", "3s", "2m", "1h", "240h", "20000h"};
    line(std::string("clock ") + (pick(2) == 0 ? '+' : '-') + one_of(kSteps));
  }

  void full() {
    static const std::array<const char*, 4> kRooms{"full", "limited", "free", "free"};
    line(std::string("journal ") + one_of(kRooms));
  }

  void special() {
    const std::string at = file();
    switch (pick(5)) {
      case 0:
        return command("mkfifo " + at);
      case 1:
        return command("symlink f " + at);
      case 2:
        return command("mknod " + at);
      case 3:
        line("unlink " + at);
        return command("mkfifo " + at);
      default:
        line("unlink " + at);
        return command("mkdir " + at);
    }
  }

  // --- of a receiver that renames

  std::string part() {
    static const std::array<const char*, 3> kParts{"f.part", "g.part", "h.part"};
    return join(directory(), one_of(kParts));
  }
  void write_part() { command("write " + part() + ' ' + std::to_string(1 + pick(3))); }
  void finish_part() {
    static const std::array<const char*, 3> kNames{"f", "g", "h"};
    command("rename " + part() + ' ' + join(directory(), one_of(kNames)));
  }
  void write_plain() {
    static const std::array<const char*, 3> kNames{"p", "q", "r"};
    command("write " + join(directory(), one_of(kNames)) + ' ' + std::to_string(1 + pick(3)));
  }

  const StormKind& kind_;
  std::uint32_t shares_;  ///< its inotify instance, with a watch next to it (1) or of /out (2)
  std::mt19937 random_;
  std::set<std::string> with_;
  std::vector<Operation> operations_;
  std::string text_;
  bool started_ = false;
  bool overflowing_ = false;
  bool killed_ = false;
  int last_handle_ = 0;
  int last_link_ = 0;
  std::vector<std::string> open_;
};

}  // namespace

const std::vector<StormKind>& storm_kinds() {
  static const std::vector<StormKind> kKinds{
      {"files", "", "", ""},
      {"scans", "", "", "scans"},
      {"directories", "", "", "directories"},
      {"directories and scans", "", "", "directories scans"},
      {"kills", "", "", "scans kills"},
      {"directories and kills", "", "", "directories scans kills"},
      {"metadata", "", "", "metadata"},
      {"metadata and scans", "", "", "metadata directories scans births"},
      {"metadata and kills", "", "", "metadata directories scans kills births"},
      {"power", "", "", "metadata directories power births"},
      {"mounts", "", "", "directories scans mounts"},
      {"mounts and kills", "", "", "directories kills mounts"},
      {"binds", "", "", "directories binds"},
      {"root", "", "", "directories scans root"},
      {"faults", "", "", "directories scans faults"},
      {"hangs", "", "", "directories hangs"},
      {"clock", "", "", "directories scans clock metadata"},
      {"clock and kills", "", "", "directories kills clock"},
      {"names", "", "", "directories scans names"},
      {"races", "", "", "directories races"},
      {"races and scans", "", "", "directories scans races metadata"},
      {"granularity", "", "", "scans grain"},
      {"granularity and kills", "", "", "kills grain metadata"},
      {"full", "", "", "directories full kills"},
      {"special", "", "", "directories scans special"},
      {"no lease", "", "leases=off", "directories quick"},
      {"existing ignored", "existing=ignore", "", "directories kills"},
      {"chunks", "processor=create-via-chunks", "", "directories chunks"},
      {"chunks and kills", "processor=create-via-chunks", "", "directories chunks scans kills"},
      {"plain", "", "", "directories plain"},
      {"progress", "", "", "directories scans progress"},
      {"everything", "", "",
       "directories scans kills power metadata mounts binds root faults clock names races full "
       "special grain births",
       true},
  };
  return kKinds;
}

Script make_storm(const StormKind& kind, std::uint32_t seed) {
  return parse_script("storm", Generator(kind, seed).script());
}

std::string run_storm(const Script& storm) {
  FakeWorld world(FakeWorld::variants(storm.fake).front(), storm.fake);
  return run_script(storm, world);
}

std::string category_of(const std::string& failure) {
  const auto begin = failure.find("\n  ");
  const bool at_the_end = failure.starts_with("storm: ");
  const std::string problem = at_the_end                   ? failure.substr(7)
                              : begin == std::string::npos ? failure
                                                           : failure.substr(begin + 3);
  const std::string category = problem.substr(0, std::min(problem.find(':'), problem.find(" /w")));
  return category == "status" ? problem.substr(0, problem.find(" is said")) : category;
}

std::string shrink(const Script& storm, const std::string& failure) {
  constexpr int kMostTries = 600;
  std::string header;
  std::vector<std::string> lines;
  std::istringstream stream(storm.text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("fake") || line.starts_with("watch") || line.starts_with("audit")) {
      header += line + '\n';
    } else {
      lines.push_back(line);
    }
  }
  std::string shortest = failure;
  const std::string category = category_of(failure);
  const auto text_of = [&](const std::vector<std::string>& some) {
    std::string text = header;
    for (const std::string& line : some) text += line + '\n';
    return text;
  };
  int tries = 0;
  std::size_t size = lines.size() / 2;
  while (size > 0 && tries < kMostTries) {
    const std::size_t before = lines.size();
    for (std::size_t begin = 0; begin < lines.size() && tries < kMostTries; ++tries) {
      std::vector<std::string> rest = lines;
      const auto from = rest.begin() + static_cast<std::ptrdiff_t>(begin);
      const std::size_t count = std::min(size, lines.size() - begin);
      rest.erase(from, from + static_cast<std::ptrdiff_t>(count));
      const std::string now = run_storm(parse_script("storm", text_of(rest)));
      if (!now.empty() && category_of(now) == category) {
        lines = std::move(rest);
        shortest = now;
      } else {
        begin += size;
      }
    }
    // The last round again as long as it helps.
    if (size > 1 || lines.size() == before) size /= 2;
  }
  return shortest + "\n" + text_of(lines);
}

}  // namespace inotifier::testing
