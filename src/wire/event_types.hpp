// The types of events that a client may ask for. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace inotifier {

/// Every one of clients/README.md, also those that no watch sends yet.
const std::vector<std::string>& event_types();
/// For a person: the first of `types` that is none, and what was probably meant; "" if all are.
std::string why_no_type(const std::vector<std::string>& types);

}  // namespace inotifier
