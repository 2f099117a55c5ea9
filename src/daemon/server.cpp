#include "daemon/server.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <zmq.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "daemon/live_config.hpp"
#include "daemon/runner.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/status.hpp"
#include "endpoint/security.hpp"
#include "serve/fetch_service.hpp"
#include "serve/fetch_socket.hpp"
#include "serve/publisher.hpp"
#include "wire/heartbeat.hpp"

namespace inotifier {
namespace {

/// Every connection takes one; the usual soft limit of 1024 is for programs that call select(2).
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class PublishingOwner final : public Runner::Owner {
 public:
  explicit PublishingOwner(LiveConfig& config)
      : config_(config),
        security_(context_, config.get().security),
        publisher_(context_, config.get().publish.endpoints, config.get().publish.high_water_mark,
                   &security_),
        fetch_(context_, config.get().fetch.endpoints, &security_) {}

  /// After runner.run(): the journal is closed before us.
  void detach() {
    manager_.stopping();
    service_.reset();
  }
  /// Before runner.run().
  void attach(Runner& runner) {
    runner_ = &runner;
    service_.emplace(
        runner.journal(), INOTIFIER_VERSION, read_clocks(),
        [this](const Route& route, std::string_view body) { fetch_.send(route, body); });
    service_->fill_status_with([&runner](Value::Map& status) {
      fill_status(status, runner.pipeline().status(), runner.journal().blocked(), read_clocks());
    });
    service_->explain_with([&runner](const std::string& path, const Now& now) {
      return runner.pipeline().explain(path, now);
    });
  }

  void publish(std::string_view topic, std::string_view body) override {
    publisher_.publish(topic, body);
  }

  std::optional<Nanos> after_turn(const Now& now) override {
    if (now.mono >= next_heartbeat_) {
      next_heartbeat_ = now.mono + config_.get().publish.heartbeat;
      const Journal& journal = runner_->journal();
      publisher_.publish(kHeartbeatTopic,
                         encode_heartbeat(journal.events().stream(), INOTIFIER_VERSION, now.wall,
                                          journal.events().published()));
    }
    publisher_.look_at_subscriptions();
    Nanos due = next_heartbeat_;
    if (const auto wanted = fetch_.serve(*service_, now)) due = std::min(due, *wanted);
    const auto wanted = manager_.after_turn(now.mono, [this] {
      return status_line(runner_->pipeline().status(), runner_->journal().blocked());
    });
    return wanted ? std::min(due, *wanted) : due;
  }

  int wake_fd() const override { return fetch_.fd(); }

  std::optional<std::vector<WatchConfig>> on_hangup() override {
    manager_.reloading();
    return config_.reload();
  }
  void on_reloaded() override { config_.accept(); }

  const std::vector<std::string>& endpoints() const { return publisher_.endpoints(); }

  const std::vector<std::string>& fetch_endpoints() const { return fetch_.endpoints(); }

 private:
  LiveConfig& config_;
  zmq::context_t context_{1};
  Security security_;
  Publisher publisher_;
  FetchSocket fetch_;
  std::optional<FetchService> service_;
  ServiceManager manager_;
  Runner* runner_ = nullptr;
  Nanos next_heartbeat_ = 0;
};

}  // namespace

void run_server(const LoadOptions& options) {
  DaemonSignals signals(true);
  raise_file_limit();
  LiveConfig live(options);
  const Config& config = live.get();
  PublishingOwner owner(live);
  Runner runner(signals, config, {config.journal, config.daemon_name, config.daemon_name_given},
                owner);
  owner.attach(runner);
  for (const std::string& endpoint : owner.endpoints()) log::info("publishing on {}", endpoint);
  for (const std::string& endpoint : owner.fetch_endpoints()) log::info("fetch on {}", endpoint);
  for (const WatchConfig& watch : config.watches) {
    log::info("watch {}: {} ({})", watch.name, watch.path, watch.processor);
  }
  if (config.watches.empty()) {
    log::warning(
        "nothing is watched yet: name directories (inotifier run DIR), set "
        "INOTIFIER_WATCH=/a:/b, or write a [[watch]] with a path into {}",
        config.file.empty() ? "/etc/inotifier/inotifier.toml" : config.file);
  }
  runner.run();
  owner.detach();
  log::info("stopped");
}

}  // namespace inotifier
