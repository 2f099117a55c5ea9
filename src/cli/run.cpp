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

}  // namespace

int run_daemon(const RunArguments& arguments) {
  LoadOptions options;
  options.file = arguments.config;
  options.directories = arguments.directories;
  const Config config = load_config(options, process_environment());
  log::set_up(config.log.level, config.log.format == Config::Log::Format::kJson);
  PublishingOwner owner(config);
  Runner runner(config, owner);
  owner.runner = &runner;
  for (const std::string& endpoint : owner.endpoints()) log::info("publishing on {}", endpoint);
  for (const WatchConfig& watch : config.watches) {
    log::info("watch {}: {} ({})", watch.name, watch.path, watch.processor);
  }
  if (config.watches.empty()) {
    log::warning("nothing is watched yet: name directories (inotifier run DIR), set "
                 "INOTIFIER_WATCH=/a:/b, or write a [[watch]] with a path into {}",
                 config.file.empty() ? "/etc/inotifier/inotifier.toml" : config.file);
  }
  runner.run();
  log::info("stopped");
  return 0;
}

}  // namespace inotifier
