// Wires source, pipeline and journal by hand, and turns the pipeline until a signal or its owner
// says stop. run() is the pipeline thread; it is the caller's thread (main). Used by `run` and
// `watch`, which differ in what they do with an event.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/pipeline.hpp"
#include "daemon/signals.hpp"
#include "daemon/watch_set.hpp"
#include "fs/real_fs.hpp"
#include "journal/journal.hpp"
#include "source/inotify_source.hpp"
#include "source/mailbox.hpp"
#include "source/poller.hpp"

namespace inotifier {

class Runner {
 public:
  /// What the owner does besides. All of it is called on the pipeline thread.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void publish(std::string_view topic, std::string_view body) = 0;
    /// After every turn. Monotonic time when it wants to be called again at the latest.
    virtual std::optional<Nanos> after_turn(const Now& now) = 0;
    /// SIGCHLD.
    virtual void on_child() {}
    /// A descriptor that ends the waiting between turns when it can be read; -1: none.
    virtual int wake_fd() const { return -1; }
    /// SIGHUP: the watches there shall be from now on; nothing: it goes on as before.
    virtual std::optional<std::vector<WatchConfig>> on_hangup() { return std::nullopt; }
    /// They are those of the last on_hangup() now.
    virtual void on_reloaded() {}
  };

  /// `journal`: without a path nothing is kept. Throws SetupError.
  Runner(DaemonSignals& signals, const Config& config, JournalOptions journal, Owner& owner);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Until SIGTERM, SIGINT or stop(). SIGUSR1 rescans.
  void run();
  void stop() { stopped_ = true; }
  Journal& journal() { return journal_; }
  const Pipeline& pipeline() const { return pipeline_; }

 private:
  void on_signals();
  void reload();
  /// Until something comes or is due.
  void wait(bool more, std::optional<Nanos> due);

  // In the order of the start.
  DaemonSignals& signals_;
  Prober prober_;
  RealFs fs_;
  Owner& owner_;
  Journal journal_;
  Mailbox mailbox_;
  InotifySource source_;
  Pipeline pipeline_;
  PollBox poll_box_;
  WatchSet watches_;
  bool stopped_ = false;
  bool reload_asked_ = false;
  Nanos stop_by_ = 0;  ///< monotonic; 0 = nobody asked
};

}  // namespace inotifier
