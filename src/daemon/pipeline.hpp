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
#include "fs/fs.hpp"
#include "inotifier/processor.hpp"
#include "journal/journal.hpp"
#include "source/poller.hpp"
#include "source/remote_watch.hpp"
#include "source/renames.hpp"

namespace inotifier {

/// Bytes of one watch's queue, in the order of the queue.
struct Input {
  std::size_t watch = 0;       ///< number given by add_watch()
  std::uint64_t position = 0;  ///< how many bytes of this queue came before
  std::span<const std::byte> bytes;
};

/// Makes the processor of a watch, if it knows the name.
using ProcessorFactory = std::function<std::unique_ptr<Processor>(const WatchConfig&)>;

class Pipeline {
 public:
  /// `publish` is called inside step(), in the order of the journal.
  Pipeline(Fs& fs, Journal& journal, Journal::Publish publish);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Before the first step(). `notifier` may be null: the watch is polled, for `reason`
  /// (instance_limit, polled).
  std::size_t add_watch(const WatchConfig& config, Notifier* notifier, std::string_view reason = "",
                        std::string_view detail = "");
  /// A watch that a poller feeds; see step().
  std::size_t add_remote_watch(const WatchConfig& config, RemoteWatch::Asks asks,
                               std::string_view detail);
  /// Whether a directory (relative path) of this watch can hold anything of interest. Any thread.
  std::function<bool(std::string_view)> enters(std::size_t watch) const;
  void add_factory(ProcessorFactory factory);

  // Between turns, and not while blocked():

  /// Other options for the watch of the same name, path and source. What is known of its files
  /// stays; a rescan follows.
  void change_watch(std::size_t watch, const WatchConfig& config);
  /// Its number is not used again. What is known of its files stays in the journal.
  void remove_watch(std::size_t watch);

  /// One turn: the inputs, what is due, one slice of every listing in progress. True if it should
  /// be called again at once.
  bool step(const Now& now, std::span<const Input> inputs,
            std::span<const PollResult> results = {});
  /// Monotonic time of the next thing that is due.
  std::optional<Nanos> deadline() const;

  struct WatchStatus {
    std::string name;
    std::string path;
    std::string processor;
    bool ready = false;
    bool lost = false;
    std::vector<std::string> degraded;  ///< reasons, each once
    std::size_t directories = 0;
    std::size_t files = 0;        ///< known ones
    std::size_t in_progress = 0;  ///< candidates and temporaries
  };
  std::vector<WatchStatus> status() const;

  /// Compares every watch with the disk (SIGUSR1).
  void rescan_all();
  /// There is no room for the journal: records are better left where they are. step() only tries to
  /// write the last turn again.
  bool blocked() const { return journal_.blocked(); }

 private:
  class Unit;
  Unit& add_unit(const WatchConfig& config);
  void persist(bool idle);
  void list_live();

  Fs& fs_;
  Journal& journal_;
  Journal::Publish publish_;
  std::vector<ProcessorFactory> factories_;
  Renames renames_;
  std::vector<std::unique_ptr<Unit>> units_;  ///< by number; null: removed
  std::vector<Unit*> live_;
  std::vector<WatchReport> reports_;     ///< of this turn
  std::vector<Journal::Tables> tables_;  ///< of live_
  bool scans_held_ = false;
  Nanos next_retry_ = 0;  ///< while blocked
  std::uint32_t turn_ = 0;
  bool rescan_asked_ = false;
  bool scan_ended_ = false;  ///< in this turn
};

}  // namespace inotifier
