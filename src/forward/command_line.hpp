// What `inotifier-forward` is told. The only file with CLI11 is command_line.cpp.
#pragma once

namespace inotifier::forward {

/// Parses, runs, and turns what is thrown into a message and an exit code: 0 done, 1 failed, 2
/// wrong usage.
int run_command_line(int argc, char** argv);

}  // namespace inotifier::forward
