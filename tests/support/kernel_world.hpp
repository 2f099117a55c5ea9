// A live pipeline over a fresh directory, under real time. Scripts that play at the same time do
// not disturb each other, but for the load.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/kept_journal.hpp"
#include "support/live_pipeline.hpp"
#include "support/sandbox.hpp"
#include "support/world.hpp"

namespace inotifier::testing {

class KernelWorld final : public World {
 public:
  /// `shared`: all watches, and one more, have one inotify instance.
  KernelWorld(const std::string& place, bool shared);

  std::string label() const override {
    return "kernel, " + place_ + (shared_ ? ", one instance" : "");
  }
  Disk& disk() override { return disk_; }
  const std::string& root() const override { return root_; }
  void start(const std::vector<WatchConfig>& watches) override;
  void at(Nanos time) override;
  void wait(Nanos time) override;
  void after_command() override {}
  void await(const std::function<bool()>& enough) override;
  void finish() override;
  void keep_journal() override { kept_ = std::make_unique<KeptJournal>(); }
  void kill() override;
  void save() override;
  void rewind() override { kept_->rewind(); }
  void take(std::vector<Event>& events) override;
  void rescan() override { pipeline_->rescan(); }
  void overflow(std::size_t watch, bool begin) override;
  void hold(bool on) override;

  /// The machine was too slow: commands came later than the script says, which may be all that is
  /// wrong.
  bool was_late() const { return late_; }

 private:
  std::string place_;
  bool shared_;
  Sandbox sandbox_;
  std::string root_;
  RealDisk disk_;
  std::vector<std::string> roots_;
  std::unique_ptr<KeptJournal> kept_;  ///< of a script that kills
  std::unique_ptr<LivePipeline> pipeline_;
  std::vector<Event> events_;  ///< seen while waiting for the start
  Nanos started_ = 0;
  bool late_ = false;
  bool held_ = false;
};

}  // namespace inotifier::testing
