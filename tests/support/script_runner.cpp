#include "support/script_runner.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include "support/auditor.hpp"
#include "support/expectation.hpp"
#include "support/fake_world.hpp"

namespace inotifier::testing {
namespace {

// Longer than the back-off of rescans and all that a processor waits for: without leases up to
// twice a minute.
constexpr Nanos kCalm = 130'000'000'000;

/// A command that its disk refused, or that has nothing to work on.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

FakeCall call_of(const std::string& name) {
  static const std::map<std::string, FakeCall> kCalls{
      {"stat", FakeCall::kStat}, {"open", FakeCall::kOpen}, {"lease", FakeCall::kLease},
      {"list", FakeCall::kList}, {"next", FakeCall::kNext}, {"watch", FakeCall::kWatch}};
  const auto found = kCalls.find(name);
  if (found == kCalls.end()) throw std::runtime_error("no such call: " + name);
  return found->second;
}

int errno_of(const std::string& name) {
  static const std::map<std::string, int> kErrors{
      {"EACCES", EACCES}, {"EPERM", EPERM},        {"EIO", EIO},       {"ENOMEM", ENOMEM},
      {"EMFILE", EMFILE}, {"ENFILE", ENFILE},      {"ESTALE", ESTALE}, {"EINTR", EINTR},
      {"EAGAIN", EAGAIN}, {"ENOLCK", ENOLCK},      {"EINVAL", EINVAL}, {"ENOENT", ENOENT},
      {"ENOSPC", ENOSPC}, {"ETIMEDOUT", ETIMEDOUT}};
  const auto found = kErrors.find(name);
  if (found == kErrors.end()) throw std::runtime_error("no such error: " + name);
  return found->second;
}

class Runner {
 public:
  Runner(const Script& script, World& world) : script_(script), world_(world) {
    if (!script.audit) return;
    WatchConfig config = watch_config(script.watches.front());
    config.path = absolute(config.path);
    auditor_ = std::make_unique<Auditor>(*world.fake(), config, script.strict, script.progress);
  }

  std::string run() {
    try {
      for (std::size_t i = 0; i < script_.commands.size();) {
        command_ = &script_.commands[i];
        if (command_->verb == "expect") {
          i = expect(i);
        } else {
          execute(*command_);
          ++i;
        }
        if (auditor_) {
          sample();
          if (!auditor_->problem().empty()) return report(whole(auditor_->problem()));
        }
        if (!hook_problem_.empty()) throw std::runtime_error(hook_problem_);
      }
      start();
      if (auditor_) {
        const std::string problem = audit();
        return problem.empty() ? "" : report(whole(problem));
      }
      world_.finish();
      static const Command kEnd{0, "the end of the script", "", {}, {}};
      command_ = &kEnd;
      nothing_is_left();
    } catch (const ScriptError& error) {
      return report(error.what());
    } catch (const std::exception& error) {
      if (auditor_) return report(whole(error.what()));
      return report(script_.file + ":" + std::to_string(command_ ? command_->line : 0) + ": " +
                    error.what());
    }
    return "";
  }

 private:
  std::string whole(const std::string& problem) const {
    if (command_ == nullptr || command_->line == 0) return script_.file + ": " + problem;
    return script_.file + ":" + std::to_string(command_->line) + ": " + command_->text + "\n  " +
           problem;
  }

  /// Everybody closes, nothing fails any more: then it all must come right, and stay so.
  std::string audit() {
    static const Command kEnd{0, "the end of the script", "", {}, {}};
    command_ = &kEnd;
    FakeWorld& fake = *world_.fake();
    fake.fs().run_hooks();
    fake.fs().mend();
    fake.limit_files(false);
    if (fake.has_journal()) fake.fill_journal(false);
    if (overflowing_) world_.overflow(0, false);
    world_.hold(false);
    for (const auto& [name, handle] : handles_) {
      world_.disk().unmap(handle);
      world_.disk().close_file(handle);
      world_.after_command();
    }
    const auto calm = [&] {
      world_.wait(kCalm);
      sample();
    };
    calm();
    auditor_->compare();
    auditor_->compare_status();
    if (!auditor_->problem().empty()) return auditor_->problem();
    // Looks at what may still come (the root, temporary files), and nothing else.
    constexpr std::size_t kTurnsAtRest = 1000;
    const std::size_t turns = fake.turns_taken();
    calm();
    if (fake.turns_taken() - turns > kTurnsAtRest) {
      return "it does not come to rest: " + std::to_string(fake.turns_taken() - turns) +
             " turns in " + std::to_string(kCalm / 1'000'000'000) + " s";
    }
    std::size_t before = auditor_->announced();
    world_.rescan();
    calm();
    if (auditor_->announced() != before) return "a rescan found something: " + last_text_;
    if (fake.has_journal()) {
      before = auditor_->announced();
      kill();
      start();
      calm();
      if (auditor_->announced() != before) return "a restart found something: " + last_text_;
      auditor_->compare_status();
    }
    return auditor_->problem();
  }

  std::string report(const std::string& text) { return text + "\n  [" + world_.label() + "]"; }

  const std::string& word(std::size_t at) const {
    if (at >= command_->words.size()) throw std::runtime_error("a word is missing");
    return command_->words[at];
  }

  /// As bytes, `..` resolved by text.
  std::string path(std::size_t at) const { return absolute(word(at)); }
  std::string absolute(const std::string& relative) const {
    std::string result =
        std::filesystem::path(world_.root() + "/" + relative).lexically_normal().string();
    if (result.ends_with('/')) result.pop_back();
    return result;
  }

  int handle(std::size_t at) const {
    const auto found = handles_.find(word(at));
    if (found == handles_.end()) throw Refused("not open: " + word(at));
    return found->second;
  }

  int must(int result) const {
    if (result < 0) throw Refused(std::strerror(-result));
    return result;
  }

  void start() {
    if (started_) return;
    started_ = true;
    std::vector<WatchConfig> watches;
    for (const Command& line : script_.watches) {
      watches.push_back(watch_config(line));
      watches.back().path = absolute(watches.back().path);
    }
    const bool keeps = std::ranges::any_of(script_.commands, [](const Command& one) {
      return one.verb == "kill" || one.verb == "save" || one.verb == "journal";
    });
    if (keeps && !restarted_) world_.keep_journal();
    if (auditor_ && !restarted_) auditor_->before_start();
    world_.start(watches);
  }

  void kill() {
    sample();
    world_.kill();
    sample();
    started_ = overflowing_ = false;
    restarted_ = true;
    if (auditor_) auditor_->on_gap();
  }

  /// In an audit what does not fit the moment is left out, so that lines can be left out.
  bool fits(const std::string& verb) const {
    static const std::set<std::string> kOfDaemon{"kill",    "save",  "rescan", "overflow",
                                                 "journal", "turns", "hold",   "release"};
    if (verb == "start") return !started_;
    if (verb == "rewind") return restarted_ && !started_ && saved_;
    return started_ || !kOfDaemon.contains(verb);
  }

  std::size_t watch(std::size_t at) const {
    if (at >= command_->words.size()) return 0;
    for (std::size_t i = 0; i < script_.watches.size(); ++i) {
      if (watch_config(script_.watches[i]).name == word(at)) return i;
    }
    throw std::runtime_error("no such watch: " + word(at));
  }

  // --- commands

  void execute(const Command& command) {
    static const std::map<std::string, std::function<void(Runner&)>> kWorld{
        {"start", [](Runner& r) { r.start(); }},
        {"kill", [](Runner& r) { r.kill(); }},
        {"save",
         [](Runner& r) {
           r.world_.save();
           r.saved_ = true;
         }},
        {"rewind",
         [](Runner& r) {
           r.world_.rewind();
           if (r.auditor_) r.auditor_->on_rewind();
         }},
        {"pass", [](Runner& r) { r.world_.wait(parse_duration(r.word(0))); }},
        {"at",
         [](Runner& r) {
           r.start();
           r.world_.at(parse_duration(r.word(0)));
         }},
        {"wait",
         [](Runner& r) {
           if (r.started_) throw std::runtime_error("wait is for the time before a start");
           r.world_.wait(parse_duration(r.word(0)));
         }},
        {"ignore",
         [](Runner& r) { r.ignored_.insert(r.command_->words.begin(), r.command_->words.end()); }},
        {"discard",
         [](Runner& r) {
           r.sample();
           r.of_files_.clear();
         }},
        {"rescan", [](Runner& r) { r.world_.rescan(); }},
        {"overflow",
         [](Runner& r) {
           if (r.word(0) != "begin" && r.word(0) != "end") throw std::runtime_error("begin or end");
           r.overflowing_ = r.word(0) == "begin";
           if (r.auditor_) r.auditor_->on_gap();
           r.world_.overflow(r.watch(1), r.overflowing_);
         }},
        {"hold", [](Runner& r) { r.world_.hold(true); }},
        {"release", [](Runner& r) { r.world_.hold(false); }},
    };
    if (auditor_ && !fits(command.verb)) return;
    const auto of_world = kWorld.find(command.verb);
    if (of_world != kWorld.end()) return of_world->second(*this);
    try {
      if (!on_disk(command)) on_fake(command);
    } catch (const Refused& refused) {
      if (!auditor_) fail(script_, command, refused.what());
    }
    if (command.verb != "turns") world_.after_command();
  }

  /// Runs within a call of the daemon.
  void interpose(const Command& command) {
    Command inner = command;
    inner.verb = word(1);
    inner.words.erase(inner.words.begin(), inner.words.begin() + 2);
    const auto run = [this, inner] {
      const Command* outer = std::exchange(command_, &inner);
      try {
        if (!on_disk(inner)) throw std::runtime_error("nothing that a writer does: " + inner.verb);
      } catch (const Refused& refused) {
        if (!auditor_) hook_problem_ = inner.text + ": " + refused.what();
      } catch (const std::runtime_error& error) {
        hook_problem_ = inner.text + ": " + error.what();
      }
      command_ = outer;
    };
    world_.fake()->fs().interpose(static_cast<int>(parse_number(word(0))), run);
  }

  int open(const std::string& name, const std::string& at, const OpenMode& mode) {
    const int result = must(world_.disk().open_file(at, mode));
    handles_[name] = result;
    return result;
  }

  void write(const std::string& at, std::int64_t size) {
    Disk& disk = world_.disk();
    OpenMode mode;
    mode.create = mode.truncate = true;
    const int opened = must(disk.open_file(at, mode));
    if (size > 0) must(disk.put(opened, size));
    must(disk.close_file(opened));
  }

  void make_directories(const std::string& relative) {
    for (std::size_t slash = 0; slash != std::string::npos;) {
      slash = relative.find('/', slash + 1);
      const int result = world_.disk().make_directory(absolute(relative.substr(0, slash)));
      if (result != -EEXIST) must(result);
    }
  }

  bool on_disk(const Command& command) {
    Disk& disk = world_.disk();
    const std::string& verb = command.verb;
    if (verb == "mkdir") {
      if (word(0) == "-p") {
        make_directories(word(1));
      } else {
        must(disk.make_directory(path(0)));
      }
    } else if (verb == "rmdir") {
      must(disk.remove_directory(path(0)));
    } else if (verb == "write") {
      write(path(0), parse_number(word(1)));
    } else if (verb == "fill") {
      const std::int64_t count = parse_number(word(1));
      for (std::int64_t i = 0; i < count; ++i) {
        write(path(0) + "/f" + std::to_string(i), parse_number(word(2)));
      }
    } else if (verb == "touch") {
      OpenMode mode;
      mode.create = true;
      const int opened = must(disk.open_file(path(0), mode));
      must(disk.touch(opened));
      must(disk.close_file(opened));
    } else if (verb == "open") {
      OpenMode mode;
      for (std::size_t i = 2; i < command.words.size(); ++i) {
        const std::string& flag = command.words[i];
        if (flag == "create") {
          mode.create = true;
        } else if (flag == "exclusive") {
          mode.create = mode.exclusive = true;
        } else if (flag == "trunc") {
          mode.truncate = true;
        } else if (flag == "append") {
          mode.append = true;
        } else if (flag == "tmpfile") {
          mode.tmpfile = true;
        } else if (flag == "read") {
          mode.write = false;
        } else {
          throw std::runtime_error("unknown flag: " + flag);
        }
      }
      open(word(0), path(1), mode);
    } else if (verb == "put") {
      must(disk.put(handle(0), parse_number(word(1))));
    } else if (verb == "resize") {
      must(disk.resize(handle(0), parse_number(word(1))));
    } else if (verb == "stamp") {
      must(disk.touch(handle(0)));
    } else if (verb == "read") {
      must(disk.read(handle(0)));
    } else if (verb == "close") {
      must(disk.close_file(handle(0)));
    } else if (verb == "mmap") {
      must(disk.map(handle(0)));
    } else if (verb == "munmap") {
      must(disk.unmap(handle(0)));
    } else if (verb == "rename" || verb == "exchange") {
      must(disk.rename(path(0), path(1), verb == "exchange"));
    } else if (verb == "link") {
      must(disk.link(path(0), path(1)));
    } else if (verb == "linkat") {
      must(disk.link_handle(handle(0), path(1)));
    } else if (verb == "unlink") {
      must(disk.unlink(path(0)));
    } else if (verb == "truncate") {
      must(disk.truncate(path(0), parse_number(word(1))));
    } else if (verb == "utimes") {
      must(disk.set_times(path(0), parse_number(word(1))));
    } else if (verb == "copytimes") {
      must(disk.copy_times(path(0), path(1)));
    } else if (verb == "chmod") {
      must(disk.change_mode(path(0), static_cast<std::uint32_t>(std::stoul(word(1), nullptr, 8))));
    } else if (verb == "chown") {
      must(disk.change_owner(path(0)));
    } else if (verb == "setxattr") {
      must(disk.set_attribute(path(0)));
    } else if (verb == "symlink") {
      must(disk.make_symlink(word(0), path(1)));
    } else if (verb == "mknod") {
      must(disk.make_node(path(0)));
    } else if (verb == "mkfifo") {
      must(disk.make_fifo(path(0)));
    } else {
      return false;
    }
    return true;
  }

  void on_fake(const Command& command) {
    FakeWorld* fake = world_.fake();
    if (fake == nullptr) throw std::runtime_error("only a fake can do this");
    FakeFs& fs = fake->fs();
    const std::string& verb = command.verb;
    if (verb == "mount") {
      std::string type;
      for (const auto& [key, value] : command.values) {
        if (key == "type") type = value;
      }
      must(fs.mount(path(0), command.words.size() > 1 ? word(1) : "", type));
    } else if (verb == "bind") {
      must(fs.bind(path(0), path(1)));
    } else if (verb == "umount") {
      const bool lazy = word(0) == "-l";
      must(fs.unmount(path(lazy ? 1 : 0), lazy));
    } else if (verb == "fault") {
      const int times = command.words.size() > 3 ? static_cast<int>(parse_number(word(3))) : -1;
      must(fs.set_fault(path(0), call_of(word(1)), errno_of(word(2)), times));
    } else if (verb == "hang") {
      must(fs.set_hang(path(0), true));
    } else if (verb == "mend") {
      fs.mend();
    } else if (verb == "clock") {
      const bool back = word(0).starts_with('-');
      const Nanos by = parse_duration(std::string_view(word(0)).substr(1));
      fake->step_clock(back ? -by : by);
    } else if (verb == "journal") {
      if (word(0) != "limited") fake->fill_journal(word(0) == "full");
      fake->limit_files(word(0) == "limited");
    } else if (verb == "during") {
      interpose(command);
    } else if (verb == "unreadable" || verb == "readable") {
      must(fs.set_unreadable(path(0), verb == "unreadable"));
    } else if (verb == "watches") {
      fs.set_max_watches(static_cast<std::size_t>(parse_number(word(0))));
    } else if (verb == "leases") {
      fs.set_leases(word(0) == "on");
    } else if (verb == "turns") {
      fake->turns(parse_number(word(0)));
    } else if (verb == "queue") {
      fake->notifier(watch(1)).limit(static_cast<std::size_t>(parse_number(word(0))));
    } else if (verb == "record") {
      int wd = -1;
      std::uint32_t mask = 0;
      std::string name;
      for (const auto& [key, value] : command.values) {
        if (key == "wd") wd = static_cast<int>(parse_number(value));
        if (key == "mask") mask = static_cast<std::uint32_t>(std::stoul(value, nullptr, 0));
        if (key == "name") name = value;
      }
      fake->notifier(watch(0)).queue(wd, mask, 0, name);
    } else {
      throw std::runtime_error("not written yet: " + verb);
    }
  }

  // --- expectations

  void sample() {
    std::vector<Event> events;
    world_.take(events);
    for (Event& event : events) {
      if (auditor_) {
        auditor_->on_event(event);
        if (event.type == "file.completed") last_text_ = text_of(event, nullptr);
        continue;
      }
      if (ignored_.contains(event.type)) continue;
      (event.type.starts_with("watch.") ? of_watches_ : of_files_).push_back(std::move(event));
    }
  }

  Expectation expectation(const Command& command, std::size_t from) const {
    Expectation result;
    result.line = command.line;
    result.type = command.words[from];
    if (command.words.size() > from + 1) {
      result.any_path = false;
      result.path = command.words[from + 1];
    }
    if (command.words.size() > from + 2) throw std::runtime_error("too many words");
    result.values = command.values;
    for (auto& [key, value] : result.values) {
      if (value.starts_with("@/")) value = absolute(value.substr(2));
    }
    return result;
  }

  /// Handles the expect lines from `at` on that stand together; returns the first that is none.
  std::size_t expect(std::size_t at) {
    start();
    std::vector<Expectation> group;
    bool ordered = true;
    bool sampled = false;
    for (; at < script_.commands.size() && script_.commands[at].verb == "expect"; ++at) {
      command_ = &script_.commands[at];
      const std::string& first = word(0);
      if (first == "unordered") {
        ordered = false;
      } else if (first == "none") {
        sampled = true;
      } else if (first == "no") {
        sample();
        for (const Event& event : of_watches_) {
          if (event.type == word(1)) fail(script_, *command_, text_of(event, nullptr));
        }
      } else if (first.find_first_not_of("0123456789") == std::string::npos) {
        sampled = true;
        for (std::int64_t i = parse_number(first); i > 0; --i) {
          group.push_back(expectation(*command_, 1));
        }
      } else if (first.starts_with("watch.")) {
        expect_of_watch(expectation(*command_, 0));
      } else {
        sampled = true;
        group.push_back(expectation(*command_, 0));
      }
    }
    if (sampled) compare(group, ordered);
    return at;
  }

  void expect_of_watch(const Expectation& expected) {
    const auto find = [&] {
      return std::ranges::find_if(
          of_watches_, [&](const Event& event) { return expected.matches(event, bindings_); });
    };
    world_.await([&] {
      sample();
      return find() != of_watches_.end();
    });
    sample();
    const auto found = find();
    if (found == of_watches_.end()) {
      std::vector<Event> got(of_watches_.begin(), of_watches_.end());
      got.insert(got.end(), of_files_.begin(), of_files_.end());
      fail(script_, *command_, "no such event\n" + side_by_side({expected}, got, {}));
    }
    of_watches_.erase(found);
  }

  void compare(const std::vector<Expectation>& expected, bool ordered) {
    world_.await([&] {
      sample();
      return of_files_.size() >= expected.size();
    });
    sample();
    std::vector<Event> got(of_files_.begin(), of_files_.end());
    of_files_.clear();
    std::vector<bool> wrong(std::max(expected.size(), got.size()), true);
    if (!ordered) {
      // Bring the ones that fit to the places where they are expected.
      for (std::size_t i = 0; i < std::min(expected.size(), got.size()); ++i) {
        Bindings trial = bindings_;
        for (std::size_t j = i; j < got.size(); ++j) {
          if (!expected[i].matches(got[j], trial)) continue;
          std::swap(got[i], got[j]);
          break;
        }
      }
    }
    bool right = expected.size() == got.size();
    for (std::size_t i = 0; i < std::min(expected.size(), got.size()); ++i) {
      wrong[i] = !expected[i].matches(got[i], bindings_);
      right = right && !wrong[i];
    }
    if (right) return;
    fail(script_, *command_, "not as expected\n" + side_by_side(expected, got, wrong));
  }

  void nothing_is_left() {
    sample();
    std::vector<Event> rest(of_files_.begin(), of_files_.end());
    for (const Event& event : of_watches_) {
      // Every watch says these two, when it starts.
      if (event.type != "watch.ready" && event.type != "watch.scanned") rest.push_back(event);
    }
    if (!rest.empty()) {
      throw ScriptError(script_.file + ": not expected by any line\n" + side_by_side({}, rest, {}));
    }
  }

  const Script& script_;
  World& world_;
  const Command* command_ = nullptr;
  bool started_ = false;
  bool restarted_ = false;
  bool saved_ = false;
  bool overflowing_ = false;
  std::unique_ptr<Auditor> auditor_;  ///< of an audit
  std::string last_text_;             ///< of the last announcement
  std::string hook_problem_;
  std::map<std::string, int> handles_;
  std::set<std::string> ignored_;
  Bindings bindings_;
  std::deque<Event> of_files_;
  std::deque<Event> of_watches_;
};

}  // namespace

std::string run_script(const Script& script, World& world) { return Runner(script, world).run(); }

}  // namespace inotifier::testing
