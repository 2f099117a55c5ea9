// inotifier run: the daemon.
#include <fmt/core.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "cli/arguments.hpp"
#include "config/load.hpp"
#include "daemon/runner.hpp"
#include "publish/heartbeat.hpp"
#include "publish/publisher.hpp"

namespace inotifier {
namespace {

class PublishingOwner final : public Runner::Owner {
 public:
  explicit PublishingOwner(const Config& config)
      : publisher_(config.publish.endpoints, config.publish.high_water_mark),
        heartbeat_(config.publish.heartbeat) {}

  void publish(std::string_view topic, std::string_view body) override {
    publisher_.publish(topic, body);
  }

  std::optional<Nanos> after_turn(const Now& now) override {
    if (now.mono >= next_heartbeat_) {
      next_heartbeat_ = now.mono + heartbeat_;
      const Journal& journal = runner->journal();
      publisher_.publish(kHeartbeatTopic, encode_heartbeat(journal.stream(), INOTIFIER_VERSION,
                                                           now.wall, journal.last()));
    }
    return next_heartbeat_;
  }

  const std::vector<std::string>& endpoints() const { return publisher_.endpoints(); }

  Runner* runner = nullptr;

 private:
  Publisher publisher_;
  Nanos heartbeat_;
  Nanos next_heartbeat_ = 0;
};

/// What we make ourselves is no candidate, wherever it lies.
void exclude_own_files(Config& config) {
  constexpr std::string_view kIpc = "ipc://";
  for (const std::string& endpoint : config.publish.endpoints) {
    if (!endpoint.starts_with(kIpc)) continue;
    const std::string lock = endpoint.substr(kIpc.size()) + ".lock";
    for (WatchConfig& watch : config.watches) {
      if (!lock.starts_with(watch.path + "/")) continue;
      std::string pattern;
      for (const char c : lock.substr(watch.path.size())) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
        pattern += c;
      }
      watch.exclude.push_back(std::move(pattern));
    }
  }
}

}  // namespace

int run_daemon(const RunArguments& arguments) {
  LoadOptions options;
  options.file = arguments.config;
  options.directories = arguments.directories;
  Config config = load_config(options, process_environment());
  exclude_own_files(config);
  log::set_up(config.log.level, config.log.format == Config::Log::Format::kJson);
  PublishingOwner owner(config);
  Runner runner(config, owner);
  owner.runner = &runner;
  for (const std::string& endpoint : owner.endpoints()) log::info("publishing on {}", endpoint);
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
  log::info("stopped");
  return 0;
}

}  // namespace inotifier
