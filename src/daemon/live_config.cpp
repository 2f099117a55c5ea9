#include "daemon/live_config.hpp"

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "base/endpoint.hpp"
#include "base/log.hpp"
#include "daemon/own_files.hpp"

namespace inotifier {
namespace {

void exclude_own_files(Config& config) {
  std::vector<std::string> own = files_of_journal(config.journal.path);
  for (const auto* endpoints : {&config.publish.endpoints, &config.fetch.endpoints}) {
    for (const std::string& text : *endpoints) {
      const Endpoint endpoint(text);
      if (endpoint.is_ipc()) own.push_back(std::string(endpoint.address) + ".lock");
    }
  }
  exclude_files(config.watches, own);
}

Config load(const LoadOptions& options) {
  Config config = load_config(options, process_environment());
  exclude_own_files(config);
  return config;
}

void set_up_log(const Config::Log& log) {
  log::set_up(log.level, log.format == Config::Log::Format::kJson);
}

}  // namespace

LiveConfig::LiveConfig(LoadOptions options)
    : options_(std::move(options)), config_(load(options_)) {
  set_up_log(config_.log);
}

std::optional<std::vector<WatchConfig>> LiveConfig::reload() {
  try {
    read_ = load(options_);
    return read_.watches;
  } catch (const std::exception& error) {
    log::error("SIGHUP: everything stays as it is: {}", error.what());
    return std::nullopt;
  }
}

void LiveConfig::accept() {
  if (read_.log != config_.log) set_up_log(read_.log);
  if (read_.publish != config_.publish || read_.fetch != config_.fetch ||
      read_.journal != config_.journal || read_.security != config_.security ||
      read_.daemon_name != config_.daemon_name) {
    log::warning("SIGHUP: only watches and [log] are changed now; the rest wants a restart");
  }
  config_.log = read_.log;
  log::info("SIGHUP: the configuration was read again");
}

}  // namespace inotifier
