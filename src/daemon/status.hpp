// What the reply to `status` tells of the watches. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/active_watch.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

/// Fills in `ready` (every watch is, and the journal is not `blocked`) and `watches`, and adds what
/// only the daemon knows.
void fill_status(Value::Map& status, const std::vector<WatchStatus>& watches, bool blocked,
                 const Now& now);

/// One line for people: "3 watches, 1 lost, 120 files known, 4 in progress".
std::string status_line(const std::vector<WatchStatus>& watches, bool blocked);

}  // namespace inotifier
