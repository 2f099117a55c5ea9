#include "wire/event_types.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/path.hpp"
#include "base/suggest.hpp"
#include "wire/raw_types.hpp"

namespace inotifier {
namespace {

std::vector<std::string> joined(std::vector<std::string> left,
                                const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace

const std::vector<std::string>& watch_types() {
  static const std::vector<std::string> kTypes{"watch.ready", "watch.scanned",  "watch.rescan",
                                               "watch.lost",  "watch.restored", "watch.degraded"};
  return kTypes;
}

const std::vector<std::string>& raw_type_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const RawType& type : raw_types()) names.emplace_back(type.name);
    return names;
  }();
  return kNames;
}

const std::vector<std::string>& published_types() {
  static const std::vector<std::string> kTypes = joined(
      joined({"file.completed", "file.moved", "file.removed", "file.stalled"}, watch_types()),
      raw_type_names());
  return kTypes;
}

const std::vector<std::string>& event_types() {
  static const std::vector<std::string> kTypes =
      joined(published_types(), {"file.rejected", "directory.completed", "group.completed"});
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
