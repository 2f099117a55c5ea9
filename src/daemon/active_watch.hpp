// One watch with all that is its own: the source of its records, the processor that decides, what
// is known of its files. Owned by the pipeline; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/raw_reports.hpp"
#include "daemon/scan_tally.hpp"
#include "daemon/volumes.hpp"
#include "fs/fs.hpp"
#include "inotifier/processor.hpp"
#include "journal/journal.hpp"
#include "process/filters.hpp"
#include "source/remote_watch.hpp"
#include "source/renames.hpp"
#include "source/shared_instance.hpp"
#include "source/watcher.hpp"
#include "state/file_table.hpp"

namespace inotifier {

/// Makes the processor of a watch, if it knows the name.
using ProcessorFactory = std::function<std::unique_ptr<Processor>(const WatchConfig&)>;

/// Pollers of remote volumes below the roots of watches. `path`: relative to the root.
struct PartPollers {
  std::function<RemoteTree::Asks(std::size_t watch, DirId part, const std::string& path,
                                 const WatchConfig& config)>
      start;
  std::function<void(std::size_t watch, DirId part)> stop;
};

/// An inotify instance for a watch that can share none; see WatchOptions::other_instance.
using OtherInstance =
    std::function<SharedInstance*(std::size_t watch, std::uint64_t position, int& error)>;

struct WatchStatus {
  std::string name;
  std::string path;
  std::string processor;
  bool ready = false;
  bool lost = false;
  std::uint64_t root_inode = 0;       ///< 0 = not seen yet
  std::vector<std::string> degraded;  ///< reasons, each once
  std::size_t directories = 0;
  std::size_t files = 0;        ///< known ones
  std::size_t in_progress = 0;  ///< candidates and temporaries
  std::vector<EventSource::Unanswered> unanswered;
  std::vector<VolumeStatus> volumes;
};

class ActiveWatch final : public EventSource::Sink, public Out {
 public:
  /// What all watches share.
  struct Shared {
    std::size_t number;  ///< of the watch
    const PartPollers& pollers;
    Fs& fs;
    Renames& renames;
    const std::vector<ProcessorFactory>& factories;
    std::vector<WatchReport>& reports;  ///< of this turn
    std::uint32_t turn;                 ///< the last one; 0 = the daemon starts
    const OtherInstance& other_instance;
  };

  /// Throws UsageError if nobody knows the processor. One of use_inotify() and use_poller() comes
  /// next.
  ActiveWatch(Shared shared, const WatchConfig& config, const Journal::Watch& kept);
  /// `instance` may be null: then it is polled.
  void use_inotify(SharedInstance* instance);
  void use_poller(RemoteTree::Asks asks);
  /// Other options. The file table stays, and what the source knows; candidates are met again by
  /// the rescan that follows.
  void change(const WatchConfig& config);

  EventSource& source() { return *source_; }
  void on_poll_result(const PollResult& result);
  const Filters& filters() const { return filters_; }
  Journal::Tables tables() { return {kept_.id, config_.name, &files_, &source_->directories()}; }
  WatchStatus status() const;
  /// What is known of a path relative to the root, and why it was not announced if it was not; see
  /// clients/README.md, "explain". Changes nothing.
  Value::Map explain(const std::string& path, const Now& now);
  const WatchConfig& config() const { return config_; }
  std::int64_t id() const { return kept_.id; }  ///< in the journal

  // Of a turn, in this order.
  void begin_turn(const Now& now);
  void set_room(std::size_t events);
  /// True if a scan has come to its end and was reported.
  bool on_time();
  void end_turn() { source_->end_turn(); }
  std::optional<Nanos> deadline() const;

  // EventSource::Sink
  void on_raw(const RawEvent& event) override;
  void on_record(const Record& record, std::string_view path) override {
    raw_.on_record(record, path, *this);
  }
  void on_status(std::string_view type, Value::Map data) override;
  /// Throws SetupError at the start, as long as the root has told nothing else, if leases are
  /// required and the file system has none.
  void on_degraded(const Degraded& what) override;
  void on_scanned(Origin origin, std::string_view reason, Nanos duration) override {
    tally_.on_scanned(origin, reason, duration);
  }

  // Out
  bool wants(std::string_view type) const override { return wanted_.contains(type); }
  void emit(Report report) override;

 private:
  std::string_view word_of(const Row& row, const Stat* now) const;
  Value::Map explain_directory(std::string_view path) const;
  void make_processor();
  WatchOptions watcher_options();
  void warn_of_many(const Value::Map& data) const;

  Shared shared_;
  Journal::Watch kept_;
  WatchConfig config_;
  Filters filters_;
  std::set<std::string, std::less<>> wanted_;
  RawReports raw_;
  FileTable files_;
  std::unique_ptr<Processor> processor_;
  std::unique_ptr<EventSource> source_;
  Watcher* watcher_ = nullptr;     ///< source_, if it is one
  RemoteWatch* remote_ = nullptr;  ///< source_, if it is one
  Now now_;
  bool started_ = false;
  bool is_starting_;  ///< with the daemon, and neither ready nor lost yet
  ScanTally tally_;
};

}  // namespace inotifier
