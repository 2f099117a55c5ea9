// The types of events. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace inotifier {

/// "watch.ready" and the like.
const std::vector<std::string>& watch_types();
/// The fifteen "in_...".
const std::vector<std::string>& raw_type_names();
/// All that a watch can publish.
const std::vector<std::string>& published_types();
/// All that a client may ask for: those and the ones that clients/README.md reserves.
const std::vector<std::string>& event_types();
/// For a person: the first of `types` that is none, and what was probably meant; "" if all are.
std::string why_no_type(const std::vector<std::string>& types);

}  // namespace inotifier
