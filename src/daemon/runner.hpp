// Wires source, pipeline and journal by hand, and turns the pipeline until a signal or its owner
// says stop. run() is the pipeline thread; it is the caller's thread (main). Used by `run` and
// `watch`, which differ in what they do with an event.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/mailbox.hpp"
#include "config/config.hpp"
#include "daemon/pipeline.hpp"
#include "journal/journal.hpp"
#include "source/inotify_source.hpp"
#include "source/poller.hpp"
#include "source/real_fs.hpp"

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
  };

  Runner(const Config& config, Owner& owner);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Until SIGTERM, SIGINT or stop(). SIGUSR1 rescans.
  void run();
  void stop() { stopped_ = true; }
  const Journal& journal() const { return journal_; }

 private:
  void add_poller(std::size_t number, const WatchConfig& watch);
  void on_signals();

  // In the order of the start.
  UniqueFd signals_;
  RealFs fs_;
  Owner& owner_;
  Journal journal_;
  Pipeline pipeline_;
  Mailbox mailbox_;
  InotifySource source_;
  PollBox poll_box_;
  std::vector<std::unique_ptr<Poller>> pollers_;
  bool stopped_ = false;
};

}  // namespace inotifier
