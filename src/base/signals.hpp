// Which signals the program was started to ignore. Any thread.
#pragma once

namespace inotifier {

/// nohup(1) starts a program with SIGHUP ignored, a shell what runs in the background of a script
/// with SIGINT. That stands: a signal that is blocked and read by sigwait(3) or signalfd(2) would
/// arrive all the same.
bool is_ignored(int signal);

}  // namespace inotifier
