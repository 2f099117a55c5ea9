// What the reply to `status` tells of the watches. Pure.
#pragma once

#include <vector>

#include "daemon/active_watch.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

/// Fills in `ready` (every watch is, and the journal is not `blocked`) and `watches`, and adds what
/// only the daemon knows.
void fill_status(Value::Map& status, const std::vector<WatchStatus>& watches, bool blocked);

}  // namespace inotifier
