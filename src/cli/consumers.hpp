// What the commands about consumers, and status, have in common.
#pragma once

#include <string>

#include "inotifier/client.hpp"

namespace inotifier {

/// For a person: text without control characters, anything else as JSON, "-" for nothing.
std::string shown(const Value* value);

/// What the daemon refused, in words; near names if there is no such consumer. Asks the daemon for
/// them.
std::string refusal(Requester& requester, const std::string& name, const RequestError& error);

/// Of a reply with `consumers`.
std::string consumers_table(const Value& reply);

}  // namespace inotifier
