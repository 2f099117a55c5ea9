#include "forward/command_line.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/names.hpp"
#include "forward/brokers.hpp"
#include "forward/forwarder.hpp"

namespace inotifier::forward {
namespace {

struct Arguments {
  Forwarder::Options forwarder;
  Settings settings;
  std::string secret_file;
  std::string token_file;
  std::string password_file;
  int in_flight = 4096;
  int lease = 60;
  int max_tries = 0;
};

void describe_frame(CLI::App& app, Arguments& arguments) {
  Consumer::Options& consumer = arguments.forwarder.consumer;
  app.add_option("NAME", consumer.name, "of the consumer: its position in the journal")->required();
  app.add_option("TYPE", consumer.types, "event types, such as file.completed; none = all");
  app.add_option("--to", arguments.settings.to,
                 "where to: https://HOST/PATH (webhooks), nats://HOST:4222 (NATS JetStream)")
      ->required();
  app.add_option("--watch", consumer.watches, "only of this watch; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--start", consumer.start,
                 "where a new consumer begins: oldest (default), now, or state: what is there")
      ->check(CLI::IsMember({"oldest", "now", "state"}));
  app.add_flag("--until-empty", arguments.forwarder.until_empty, "stop when there is nothing more");
  app.add_option("--in-flight", arguments.in_flight, "events sent and not answered, at most (4096)")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--max-tries", arguments.max_tries,
                 "after so many an event is kept as failed (0 = never); see inotifier failed")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--lease", arguments.lease,
                 "seconds without a request after which another client may take over (60)")
      ->check(CLI::Range(1, 3600));
  app.add_option("--endpoint", consumer.endpoint, "of the daemon's fetch service");
  app.add_option("--server-key", consumer.server_key,
                 "file with the daemon's public key (INOTIFIER_SERVER_KEY)");
  app.add_option("--key", consumer.key, "file with our own secret key (INOTIFIER_KEY)");
}

void describe_brokers(CLI::App& app, Arguments& arguments) {
  Settings& settings = arguments.settings;
  app.add_option("--batch", settings.batch, "webhooks: events a request, at most (1)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--parallel", settings.parallel, "webhooks: requests at a time (16)")
      ->check(CLI::Range(1, 256));
  app.add_option("--timeout", settings.timeout, "webhooks: seconds a request (30)")
      ->check(CLI::Range(1, 3600));
  app.add_option("--secret-file", arguments.secret_file,
                 "webhooks: file with the key of the signature (INOTIFIER_FORWARD_SECRET)");
  app.add_option("--token-file", arguments.token_file,
                 "file with a bearer or NATS token (INOTIFIER_FORWARD_TOKEN)");
  app.add_option("--password-file", arguments.password_file,
                 "NATS: file with the password of the URL's user (INOTIFIER_FORWARD_PASSWORD)");
  app.add_option("--ca-file", settings.ca_file,
                 "certificates to trust, PEM, instead of the system's");
  app.add_option("--stream", settings.stream, "NATS: the stream");
  app.add_option("--prefix", settings.prefix, "NATS: subjects are PREFIX.WATCH.TYPE (inotifier)");
  app.add_flag("--create-stream", settings.create_stream,
               "NATS: make the stream if there is none; one that is there is not changed");
  app.add_option("--replicas", settings.replicas, "NATS: of a stream that is made (1)")
      ->check(CLI::Range(1, 5));
}

/// Throws UsageError for an option that means nothing to this broker.
void check_options(const CLI::App& app, const BrokerKind& chosen) {
  for (const BrokerKind& kind : broker_kinds()) {
    for (const std::string& option : kind.options) {
      const auto& own = chosen.options;
      if (app.count(option) == 0 || std::find(own.begin(), own.end(), option) != own.end())
        continue;
      throw UsageError(
          fmt::format("{}: goes with {}, not with {}", option, kind.name, chosen.name));
    }
  }
}

int run(const CLI::App& app, Arguments& arguments) {
  Settings& settings = arguments.settings;
  Forwarder::Options& options = arguments.forwarder;
  const BrokerKind& kind = broker_kind(scheme_of(settings.to));
  check_options(app, kind);
  if (!is_name(options.consumer.name)) {
    throw UsageError(
        fmt::format("{}: the name of a consumer has letters, digits, _ and -, 64 at most",
                    options.consumer.name));
  }
  settings.secret = read_secret(arguments.secret_file, "INOTIFIER_FORWARD_SECRET");
  settings.token = read_secret(arguments.token_file, "INOTIFIER_FORWARD_TOKEN");
  settings.password = read_secret(arguments.password_file, "INOTIFIER_FORWARD_PASSWORD");
  options.to = settings.to;
  options.consumer.lease = std::chrono::seconds(arguments.lease);
  options.limits.in_flight = static_cast<std::size_t>(arguments.in_flight);
  options.limits.max_tries = arguments.max_tries;
  log::set_up("info", ::isatty(STDERR_FILENO) == 0);
  const auto broker = kind.make(settings);
  return Forwarder(options, *broker).run();
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{"Sends each event of a daemon on to a broker or a webhook, and misses none.",
               "inotifier-forward"};
  app.set_version_flag("--version", "inotifier-forward " INOTIFIER_VERSION);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer(
      "An event is acked when the other side has it: it comes at least once, with the same id "
      "each\n"
      "time, and in order for each path. What the other side rejects is kept, with its words:\n"
      "  inotifier-forward hooks file.completed --to https://hooks.example/files\n"
      "  inotifier failed hooks\n"
      "Secrets are read from files or the environment only. TERM stops when what was sent is\n"
      "answered, at most ten seconds later; a second one stops at once.");
  Arguments arguments;
  describe_frame(app, arguments);
  describe_brokers(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(app, arguments);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const UsageError& error) {
    fmt::print(stderr, "inotifier-forward: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "inotifier-forward: {}\n", error.what());
    return 1;
  }
}

}  // namespace inotifier::forward
