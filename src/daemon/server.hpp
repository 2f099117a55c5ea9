// The daemon as a whole: reads the configuration, wires runner, sockets and services by hand, and
// runs until SIGTERM. Pipeline thread (main).
#pragma once

#include "config/load.hpp"

namespace inotifier {

/// Returns after SIGTERM or SIGINT. Throws UsageError or SetupError where it cannot start or go on.
void run_server(const LoadOptions& options);

}  // namespace inotifier
