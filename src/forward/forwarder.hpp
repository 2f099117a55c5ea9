// The frame: takes events from a durable consumer, hands them to the broker, and says to the
// consumer what is done. Owned by main, on its thread: one thread, which waits for the daemon, the
// broker and signals at the same time.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"
#include "forward/backoff.hpp"
#include "forward/broker.hpp"
#include "forward/progress.hpp"
#include "forward/sendings.hpp"
#include "forward/signals.hpp"
#include "inotifier/client.hpp"

namespace inotifier::forward {

class Forwarder {
 public:
  struct Options {
    Consumer::Options consumer;
    std::string to;  ///< for people
    Sendings::Limits limits;
    bool until_empty = false;  ///< stop when there is nothing more
  };

  /// Connects to the daemon; throws as Consumer does.
  Forwarder(Options options, Broker& broker);
  /// Until a signal, or what the options say; the exit code. Throws what Consumer::next() and
  /// Broker throw, BrokerError apart.
  int run();

 private:
  Consumer::Options consumer_options(const Options& options);
  bool finished();
  void handle_signals();
  void connect(Nanos now);
  void collect();
  void send();
  void take();
  void broker_lost(const BrokerError& error);
  void watch_health();
  void show_progress();
  /// Until something is due that no descriptor tells.
  std::chrono::milliseconds pause() const;
  bool has_room() const { return sendings_.size() < kWindow; }

  /// Taken and not settled.
  static constexpr std::size_t kWindow = 10'000;

  const Options options_;
  Broker& broker_;
  StopSignals signals_;
  UniqueFd wake_;
  Backoff backoff_;
  Sendings sendings_;
  Progress progress_;
  Counts counts_;
  bool connected_ = false;
  std::int64_t failed_connects_ = 0;
  Nanos connect_at_ = 0;
  int stops_ = 0;
  Nanos stop_until_ = 0;
  bool nothing_more_ = false;
  std::string complaint_;
  Consumer consumer_;  // last: it calls back
};

}  // namespace inotifier::forward
