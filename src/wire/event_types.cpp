#include "wire/event_types.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/path.hpp"
#include "base/suggest.hpp"
#include "wire/raw_types.hpp"

namespace inotifier {

const std::vector<std::string>& event_types() {
  static const std::vector<std::string> kTypes = [] {
    std::vector<std::string> types{
        "file.completed", "file.moved",          "file.removed",   "file.stalled", "file.rejected",
        "watch.ready",    "watch.scanned",       "watch.rescan",   "watch.lost",   "watch.restored",
        "watch.degraded", "directory.completed", "group.completed"};
    for (const RawType& type : raw_types()) types.emplace_back(type.name);
    return types;
  }();
  return kTypes;
}

std::string why_no_type(const std::vector<std::string>& types) {
  const auto& known = event_types();
  for (const std::string& type : types) {
    if (std::find(known.begin(), known.end(), type) != known.end()) continue;
    return fmt::format("there is no type of events \"{}\": {}", to_utf8(type),
                       suggest(type, known));
  }
  return {};
}

}  // namespace inotifier
