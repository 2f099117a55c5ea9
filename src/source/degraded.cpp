#include "source/degraded.hpp"

namespace inotifier {

std::string_view name_of(Degraded::Reason reason) {
  switch (reason) {
    case Degraded::Reason::kAlias:
      return "alias";
    case Degraded::Reason::kInstanceLimit:
      return "instance_limit";
    case Degraded::Reason::kNoLease:
      return "no_lease";
    case Degraded::Reason::kNotWatched:
      return "not_watched";
    case Degraded::Reason::kPolled:
      return "polled";
    case Degraded::Reason::kShortage:
      return "shortage";
    case Degraded::Reason::kUnreadable:
      return "unreadable";
    case Degraded::Reason::kWatchLimit:
      return "watch_limit";
  }
  return "";
}

bool DegradedLog::add(const Degraded& what) {
  std::set<std::string>& paths = told_[what.reason];
  return paths.size() < kMostPaths && paths.insert(what.path).second;
}

std::vector<std::string> DegradedLog::reasons() const {
  std::vector<std::string> names;
  for (const auto& [reason, paths] : told_) names.emplace_back(name_of(reason));
  return names;
}

}  // namespace inotifier
