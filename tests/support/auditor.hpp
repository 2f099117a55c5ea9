// What must hold of the events whatever happens to the files (see tests/scripts/README.md,
// `audit`): listens to one watch in a FakeWorld and compares with what FakeFs knows. Owned by a
// script's runner; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "config/config.hpp"
#include "inotifier/event.hpp"
#include "process/filters.hpp"
#include "support/fake_world.hpp"

namespace inotifier::testing {

class Auditor {
 public:
  /// `strict`: nothing happened that may excuse a second announcement of the same content, or a
  /// `watch.degraded`.
  Auditor(FakeWorld& world, const WatchConfig& config, bool strict, bool progress);

  /// Before the watch is started the first time: what is there may be no news.
  void before_start();
  void on_event(const Event& event);
  /// The journal was set back: what it does not know any more is announced again.
  void on_rewind() { rewound_ = true; }
  /// Records are lost.
  void on_gap() { unseen_ = true; }
  /// Everybody has closed, nothing fails any more, and time enough has passed.
  void compare();
  void compare_status();

  std::size_t announced() const { return announced_; }
  /// The first thing that does not hold; "" if all does.
  const std::string& problem() const { return problem_; }

 private:
  struct Version {
    FakeLook look;
    std::string path;
  };
  void note(const std::string& problem);
  /// Whether two looks show one version, as far as it can be told: where a writer sets the times
  /// back to what they were, unseen or within one tick of the clock, there is nothing to tell it
  /// by.
  bool is_same(const FakeLook& one, const FakeLook& other) const {
    return one.content == other.content ||
           ((unseen_ || one.ctime == other.ctime) && one.times_set && other.times_set &&
            one.same_identity(other));
  }
  /// What was announced last under a path: of each root and volume that the path led to, for what
  /// comes back with one is known already.
  using Place = std::tuple<std::string, std::uint64_t, const FakeVolume*>;
  static Place place_of(const std::string& path, const FakeLook& look) {
    return {path, look.root, look.volume};
  }
  /// Whether what was announced last at a path was this version, or was seen to become it.
  bool is_announced(const std::string& path, const FakeLook& last, const FakeLook& now) const;
  /// Whether this name is to be announced at all.
  bool is_news(const std::string& path, const FakeFs::Seen& seen) const;

  FakeWorld& world_;
  WatchConfig config_;
  Filters filters_;
  bool strict_;
  bool progress_;
  bool rewound_ = false;
  bool unseen_ = false;
  struct AtStart {
    std::uint64_t content = 0;
    bool is_fresh = false;  ///< written within the last tick: another write may look the same
  };
  std::map<std::string, AtStart> at_start_;  ///< by path
  std::map<Place, FakeLook> last_;
  std::map<std::string, Version> ids_;
  std::size_t announced_ = 0;
  std::string problem_;
};

}  // namespace inotifier::testing
