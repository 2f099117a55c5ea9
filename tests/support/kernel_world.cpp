#include "support/kernel_world.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/clock.hpp"

namespace inotifier::testing {
namespace {

// Only ever waited for when something is wrong.
constexpr Nanos kPatience = 5 * kSecond;
// The watch that shares the others' instance.
constexpr const char* kCompanion = "companion";
constexpr Nanos kLate = 20 * kMillisecond;
// After a script's last line, for what was not expected.
constexpr Nanos kAftermath = 150 * kMillisecond;

void sleep_until(Nanos mono) {
  const Nanos left = mono - read_clocks().mono;
  if (left > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(left));
}

}  // namespace

KernelWorld::KernelWorld(const std::string& place, bool shared)
    : place_(place), shared_(shared), sandbox_(place), root_(sandbox_.path() + "/w") {
  for (const char* name : {"/w", "/out", "/companion"}) {
    if (disk_.make_directory(sandbox_.path() + name) != 0) {
      throw std::runtime_error("mkdir in " + sandbox_.path());
    }
  }
}

void KernelWorld::start(const std::vector<WatchConfig>& watches) {
  roots_.clear();
  for (const WatchConfig& watch : watches) roots_.push_back(watch.path);
  std::vector<WatchConfig> all = watches;
  if (shared_) {
    all.emplace_back();
    all.back().name = kCompanion;
    all.back().path = sandbox_.path() + "/companion";
  }
  pipeline_ = std::make_unique<LivePipeline>(all, kept_ ? kept_->path() : "", shared_);
  const Nanos deadline = read_clocks().mono + kPatience;
  std::set<std::string> begun;
  for (std::size_t seen = events_.size(); begun.size() < watches.size();) {
    if (read_clocks().mono > deadline) throw std::runtime_error("the watches are not ready");
    pipeline_->take(events_);
    for (; seen < events_.size(); ++seen) {
      const std::string& type = events_[seen].type;
      if (events_[seen].watch() == kCompanion) continue;
      if (type == "watch.ready" || type == "watch.lost") begun.insert(events_[seen].watch());
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  if (started_ == 0) started_ = read_clocks().mono;
}

void KernelWorld::kill() {
  pipeline_->take(events_);
  pipeline_.reset();
  held_ = false;
}

void KernelWorld::save() {
  pipeline_->hold(true);
  kept_->save();
  pipeline_->hold(false);
}

void KernelWorld::at(Nanos time) {
  sleep_until(started_ + time);
  if (read_clocks().mono > started_ + time + kLate) late_ = true;
}

void KernelWorld::wait(Nanos time) { sleep_until(read_clocks().mono + time); }

void KernelWorld::await(const std::function<bool()>& enough) {
  const Nanos deadline = read_clocks().mono + kPatience;
  while (!enough() && read_clocks().mono < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void KernelWorld::finish() {
  hold(false);
  wait(kAftermath);
}

void KernelWorld::take(std::vector<Event>& events) {
  std::vector<Event> all = std::exchange(events_, {});
  if (pipeline_) pipeline_->take(all);
  for (Event& event : all) {
    if (!is_of_sharing(event, kCompanion)) events.push_back(std::move(event));
  }
}

void KernelWorld::hold(bool on) {
  if (pipeline_ && std::exchange(held_, on) != on) pipeline_->hold(on);
}

/// Fills mailbox and queue of a held pipeline: two files that take turns, so that no two equal
/// records follow each other.
void KernelWorld::overflow(std::size_t watch, bool begin) {
  if (!begin) return hold(false);
  hold(true);
  std::size_t queue = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> queue;
  constexpr std::size_t kRecord = 32;  // header and a name of up to 15 bytes
  constexpr std::size_t kOneRead = 64U << 10U;
  const std::size_t records = queue + 2 * (LivePipeline::kMailboxBytes + kOneRead) / kRecord;
  const std::array<std::string, 2> noise{roots_.at(watch) + "/.noise1", roots_[watch] + "/.noise2"};
  for (const std::string& file : noise) {
    const UniqueFd fd(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }
  for (std::size_t i = 0; i < records; ++i) {
    if (::chmod(noise[i % 2].c_str(), 0600) != 0) throw std::runtime_error("chmod " + noise[i % 2]);
  }
  for (const std::string& file : noise) ::unlink(file.c_str());
}

}  // namespace inotifier::testing
