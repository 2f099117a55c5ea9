// Where a script plays: a disk, a pipeline that watches it, and a clock. One thread calls it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "inotifier/event.hpp"
#include "inotifier/processor.hpp"
#include "support/disk.hpp"

namespace inotifier::testing {

class FakeWorld;

/// Comes only where watches share an inotify instance: what the watch tells that shares the
/// others', and that watches that overlap were given instances of their own.
inline bool is_of_sharing(const Event& event, std::string_view companion) {
  if (event.watch() == companion) return true;
  const Value* reason = event.type == "watch.rescan" ? event.data.find("reason") : nullptr;
  return reason != nullptr && reason->text() != nullptr && *reason->text() == "other_instance";
}

class World {
 public:
  virtual ~World() = default;
  /// "fake, late, coarse clock"; told with a failure.
  virtual std::string label() const = 0;
  virtual Disk& disk() = 0;
  /// Absolute path of the directory that the script's paths are relative to.
  virtual const std::string& root() const = 0;
  /// `watches` have absolute paths. Returns when every directory is watched.
  virtual void start(const std::vector<WatchConfig>& watches) = 0;
  /// Before the start: there will be a kill(), so the journal is kept.
  virtual void keep_journal() = 0;
  /// The daemon is killed: what it had in memory, and what was in its queues, is gone. start()
  /// begins another one with the same journal.
  virtual void kill() = 0;
  /// Remembers the journal as it is; rewind(), between kill() and start(), goes back to that (what
  /// a power cut does).
  virtual void save() = 0;
  virtual void rewind() = 0;
  /// Lets time pass until so long after the (first) start.
  virtual void at(Nanos time) = 0;
  /// Lets time pass before the start.
  virtual void wait(Nanos time) = 0;
  /// After each command on the disk.
  virtual void after_command() = 0;
  /// Returns when `enough`, or when it cannot be expected any more.
  virtual void await(const std::function<bool()>& enough) = 0;
  /// All that would still come has come.
  virtual void finish() = 0;
  /// Moves what was published since the last call to the end of `events`.
  virtual void take(std::vector<Event>& events) = 0;

  virtual void rescan() = 0;
  /// Between begin and end all records of the watch are lost, and nothing is read.
  virtual void overflow(std::size_t watch, bool begin) = 0;
  /// Nothing is read and nothing decided until released.
  virtual void hold(bool on) = 0;
  virtual FakeWorld* fake() { return nullptr; }
};

}  // namespace inotifier::testing
