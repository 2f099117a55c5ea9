#include "source/departed.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/path.hpp"

namespace inotifier {

void Departed::add(DirId dir, Nanos until) {
  const auto& self = table_.at(dir);
  departures_.push_back({table_.ref(dir), self.parent, self.name, until});
  was_at_[dir] = last_path(dir);
  table_.detach(dir);
}

DirId Departed::take(DirId from_dir, std::string_view name) {
  const auto found =
      std::find_if(departures_.rbegin(), departures_.rend(), [&](const Departure& one) {
        return one.from_dir == from_dir && one.name == name && is_on_its_way(one.self);
      });
  if (found == departures_.rend()) return kNoDir;
  const DirId dir = found->self.dir;
  departures_.erase(std::next(found).base());
  return dir;
}

void Departed::give_up(DirId from_dir, std::string_view name, Nanos now) {
  for (Departure& one : departures_) {
    if (one.from_dir == from_dir && one.name == name) one.until = now;
  }
}

DirId Departed::expire(Nanos now) {
  for (auto one = departures_.begin(); one != departures_.end();) {
    if (one->until > now) {
      ++one;
      continue;
    }
    const DirRef self = one->self;
    one = departures_.erase(one);
    if (is_on_its_way(self)) return self.dir;
  }
  return kNoDir;
}

std::optional<Nanos> Departed::deadline() const {
  std::optional<Nanos> first;
  for (const Departure& one : departures_) first = std::min(one.until, first.value_or(one.until));
  return first;
}

std::string Departed::last_path(DirId dir) const {
  std::string path;
  for (; dir != kRootDir && dir != kNoDir; dir = table_.at(dir).parent) {
    const bool detached = table_.at(dir).detached;
    std::string here = table_.at(dir).name;
    if (detached) {
      const auto was = was_at_.find(dir);
      if (was != was_at_.end()) here = was->second;
    }
    path = path.empty() ? std::move(here) : join(here, path);
    if (detached) break;
  }
  return path;
}

}  // namespace inotifier
