// How many descriptors connections may take, so that whoever may connect can neither stop the
// daemon nor take away what it needs for directories and its journal. libzmq accepts whatever
// comes, and ends the process when accept(2) says EMFILE at an ipc endpoint (4.3.4,
// ipc_listener.cpp); it has no option about it. So accept(2) and accept4(2) of the whole program
// are ours: a connection beyond the limit is closed at once, in the very call that takes it; to
// libzmq it looks like one that was aborted. Clients try again by themselves.
#pragma once

#include <cstdint>

namespace inotifier {

struct ConnectionLimits {
  /// A connection is refused when its descriptor, the lowest that is free (open(2)), is not below.
  std::uint64_t local = 0;
  /// Less for those that come over the network: they never keep out those of this machine.
  std::uint64_t network = 0;
};

/// Of a process that may have so many open files (RLIMIT_NOFILE).
ConnectionLimits connection_limits(std::uint64_t open_files);

/// Whoever binds calls it: it brings our accept(2) into the program, nothing else.
void limit_connections();

/// How many were refused, ever. Any thread.
std::uint64_t refused_connections();

}  // namespace inotifier
