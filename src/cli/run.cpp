// inotifier run: the daemon.
#include "cli/arguments.hpp"
#include "daemon/server.hpp"

namespace inotifier {

Subcommand run_command() {
  return subcommand<LoadOptions>(
      "run", "the daemon: watch and publish",
      [](Options& options, LoadOptions& load) {
        options.text("-c,--config", load.file, "configuration file");
        options.words("DIR", load.directories, "directories to watch besides");
      },
      [](const LoadOptions& load) {
        run_server(load);
        return 0;
      });
}

}  // namespace inotifier
