// inotifier run: the daemon.
#include "cli/arguments.hpp"
#include "daemon/server.hpp"

namespace inotifier {

int run_daemon(const RunArguments& arguments) {
  LoadOptions options;
  options.file = arguments.config;
  options.directories = arguments.directories;
  run_server(options);
  return 0;
}

}  // namespace inotifier
