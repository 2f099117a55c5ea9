// From records to published events: decode -> watch table -> processor -> journal -> publish, for
// all watches. One turn is one call of step(); whoever calls it is the pipeline thread. It knows
// neither threads nor sockets, so that tests drive it with a fake disk and fake time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/active_watch.hpp"
#include "fs/fs.hpp"
#include "inotifier/processor.hpp"
#include "journal/journal.hpp"
#include "source/poller.hpp"
#include "source/remote_watch.hpp"
#include "source/renames.hpp"

namespace inotifier {

/// Bytes of one inotify instance's queue, in the order of the queue.
struct Input {
  std::size_t instance = 0;    ///< as in add_instance()
  std::uint64_t position = 0;  ///< how many bytes of this queue came before
  std::span<const std::byte> bytes;
};

class Pipeline {
 public:
  /// `publish` is called inside step(), in the order of the journal.
  Pipeline(Fs& fs, Journal& journal, Journal::Publish publish);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Another inotify instance, for one watch or several. `number`: not used before.
  SharedInstance& add_instance(std::size_t number, Notifier& notifier);
  /// No watch has it any more.
  void remove_instance(std::size_t number) { instances_[number].reset(); }
  /// Before the first step(). Without it, a watch polls what it cannot share.
  void set_other_instance(OtherInstance other) { other_instance_ = std::move(other); }
  /// `instance` may be null: the watch is polled, for the reason given.
  std::size_t add_watch(const WatchConfig& config, SharedInstance* instance,
                        const std::optional<Degraded>& polled = std::nullopt);
  /// A watch that a poller feeds; see step().
  std::size_t add_remote_watch(const WatchConfig& config, RemoteTree::Asks asks);
  /// Whether a directory (relative path) of this watch can hold anything of interest. Any thread.
  std::function<bool(std::string_view)> enters(std::size_t watch) const;
  void add_factory(ProcessorFactory factory);
  /// Before the first step(). Without any, remote volumes below a root are left out.
  void set_part_pollers(PartPollers pollers) { part_pollers_ = std::move(pollers); }

  // Between turns, and not while blocked():

  /// Other options for the watch of the same name, path and source. What is known of its files
  /// stays; a rescan follows.
  void change_watch(std::size_t watch, const WatchConfig& config);
  /// The journal takes note that these are removed and those are added; remove_watch() and
  /// add_watch() follow. Throws SetupError if there is no room for that: then nothing is changed.
  void note_change(const std::vector<std::size_t>& removed, std::vector<const WatchConfig*> added);
  /// Its number is not used again. What is known of its files stays in the journal.
  void remove_watch(std::size_t watch);

  /// One turn: the inputs, what is due, one slice of every listing in progress. True if it should
  /// be called again at once.
  bool step(const Now& now, std::span<const Input> inputs,
            std::span<const PollResult> results = {});
  /// Monotonic time of the next thing that is due.
  std::optional<Nanos> deadline() const;

  std::vector<WatchStatus> status() const;
  /// What each watch knows of an absolute path; those whose trees it is not in are left out.
  Value::Array explain(const std::string& path, const Now& now) const;

  /// Compares every watch with the disk (SIGUSR1).
  void rescan_all();
  /// There is no room for the journal: records are better left where they are. step() only tries to
  /// write the last turn again.
  bool blocked() const { return journal_.blocked(); }

 private:
  ActiveWatch& make_watch(const WatchConfig& config);
  std::size_t begin_watch(ActiveWatch& watch, const std::optional<Degraded>& polled);
  std::size_t find_room(const Now& now);
  void persist(bool idle);
  void list_live();

  Fs& fs_;
  Journal& journal_;
  Journal::Publish publish_;
  std::vector<ProcessorFactory> factories_;
  PartPollers part_pollers_;
  OtherInstance other_instance_;
  Renames renames_;
  std::vector<std::unique_ptr<SharedInstance>> instances_;  ///< by number; null: removed
  std::vector<std::unique_ptr<ActiveWatch>> watches_;       ///< by number; null: removed
  std::vector<ActiveWatch*> live_;
  std::vector<WatchReport> reports_;     ///< of this turn
  std::vector<Journal::Tables> tables_;  ///< of live_
  bool scans_held_ = false;
  Nanos next_room_ = 0;   ///< while scans are held
  Nanos next_retry_ = 0;  ///< while blocked
  std::uint32_t turn_ = 0;
  bool rescan_asked_ = false;
};

}  // namespace inotifier
