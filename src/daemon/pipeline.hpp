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
#include "inotifier/processor.hpp"
#include "journal/journal.hpp"
#include "process/move_pairing.hpp"
#include "source/fs.hpp"
#include "source/poller.hpp"
#include "source/remote_watch.hpp"

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

  /// One turn: the inputs, what is due, one slice of every listing in progress. True if it should
  /// be called again at once.
  bool step(const Now& now, std::span<const Input> inputs,
            std::span<const Sightings> sightings = {});
  /// Monotonic time of the next thing that is due.
  std::optional<Nanos> deadline() const;

  /// Compares every watch with the disk (SIGUSR1).
  void rescan_all();

 private:
  class Unit;
  void settle(const MovePairing::Outcome& outcome);

  Fs& fs_;
  Journal& journal_;
  Journal::Publish publish_;
  std::vector<ProcessorFactory> factories_;
  std::vector<std::unique_ptr<Unit>> units_;
  MovePairing pairing_;
  std::vector<Said> said_;  ///< of this turn
  std::uint32_t turn_ = 0;
  bool rescan_asked_ = false;
};

}  // namespace inotifier
