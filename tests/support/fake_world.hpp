// A pipeline over FakeFs under fake time: no threads, no waiting, every delay exact.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/pipeline.hpp"
#include "journal/journal.hpp"
#include "support/fake_fs.hpp"
#include "support/kept_journal.hpp"
#include "support/script.hpp"
#include "support/world.hpp"

namespace inotifier::testing {

class FakeWorld final : public World {
 public:
  /// When the pipeline gets to see what has happened.
  enum class Step {
    kPrompt,  ///< after every command
    kLate,    ///< when time passes
    kSingle,  ///< when time passes, and then record by record
  };
  struct Settings {
    Step step = Step::kPrompt;
    bool fine_times = true;
    bool shared = false;  ///< all watches, and one more, have one inotify instance
  };
  FakeWorld(const Settings& settings, const std::map<std::string, std::string>& options);
  ~FakeWorld() override { limit_files(false); }

  std::string label() const override;
  Disk& disk() override { return fs_; }
  const std::string& root() const override { return root_; }
  void start(const std::vector<WatchConfig>& watches) override;
  void at(Nanos time) override;
  void wait(Nanos time) override;
  void after_command() override;
  void await(const std::function<bool()>& enough) override;
  void finish() override;
  void keep_journal() override { kept_ = std::make_unique<KeptJournal>(); }
  void kill() override;
  void save() override;
  void rewind() override { kept_->rewind(); }
  void take(std::vector<Event>& events) override;
  void rescan() override;
  void overflow(std::size_t watch, bool begin) override;
  void hold(bool on) override;
  FakeWorld* fake() override { return this; }

  FakeFs& fs() { return fs_; }
  FakeNotifier& notifier(std::size_t watch) { return *notifiers_.at(instance_of_.at(watch)); }
  /// The wall clock is set forward or back.
  void step_clock(Nanos by);
  /// Of a script that keeps its journal: nothing more fits on its disk.
  void fill_journal(bool full);
  /// No file of the process grows beyond one page: write(2) of the journal gives EFBIG. Until
  /// save(), kill() or the end.
  void limit_files(bool on);
  bool has_journal() const { return kept_ != nullptr; }
  /// Calls of step() so far.
  std::size_t turns_taken() const { return turns_taken_; }
  bool is_running() const { return running_; }
  WatchStatus status() const { return pipeline_->status().front(); }
  /// So many calls of step() though the pipeline is held.
  void turns(std::int64_t count);
  /// These bytes as if read from the queue of the first watch.
  void feed(std::span<const std::byte> bytes);

  /// The ways in which a script with these options is to be played.
  static std::vector<Settings> variants(const std::map<std::string, std::string>& options);

 private:
  static FakeOptions fs_options(const Settings& settings,
                                const std::map<std::string, std::string>& options);
  void set_time(Nanos mono);
  bool turn();
  void pump();
  void run_until(Nanos mono);
  bool is_pending() const;
  SharedInstance* add_instance(std::size_t watch, std::uint64_t position);

  Settings settings_;
  FakeFs fs_;
  std::string root_ = "/w";
  std::string companion_ = "/companion";  ///< root of the watch that shares the instance
  std::vector<Event> events_;
  Now now_;
  Nanos started_ = 0;
  Nanos wall_offset_ = 0;
  std::size_t turns_taken_ = 0;
  std::unique_ptr<KeptJournal> kept_;  ///< of a script that kills
  std::unique_ptr<Journal> journal_;
  std::vector<std::unique_ptr<FakeNotifier>> notifiers_;  ///< by instance
  std::vector<std::size_t> instance_of_;                  ///< by watch
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<bool> overflowing_;
  bool running_ = false;
  bool held_ = false;
};

}  // namespace inotifier::testing
