#include "source/file_probes.hpp"

#include <algorithm>

#include "base/path.hpp"

namespace inotifier {

void FileProbes::start(std::span<const FileName> files) {
  struct Volume {
    std::shared_ptr<Probes> probes;
    std::size_t count = 0;
    DirId dir = kNoDir;  ///< entered last
  };
  std::map<std::uint64_t, Volume> volumes;
  fresh_.clear();
  next_ = 0;
  for (const FileName& file : files) {
    Key key{file.dir, std::string(file.name)};
    if (!tree_.table().is_alive(file.dir) || open_.contains(key)) continue;
    const int handle = tree_.open().open(file.dir);
    if (handle < 0) continue;
    const std::uint64_t device = tree_.table().at(file.dir).dev;
    Volume& volume = volumes[device];
    if (!volume.probes) volume.probes = fs_.probes(device);
    if (std::exchange(volume.dir, file.dir) != file.dir) volume.probes->enter(handle);
    volume.probes->add(key.second);
    fresh_.emplace_back(std::move(key),
                        Look{volume.probes, volume.count++, tree_.table().ref(file.dir)});
  }
  for (const auto& [device, volume] : volumes) volume.probes->start();
  std::erase_if(fresh_, [this](auto& one) {
    if (one.second.answer() != nullptr) return false;
    open_.insert(std::move(one));
    return true;
  });
}

std::optional<Probe> FileProbes::take(DirId dir, std::string_view name) {
  const auto fresh = std::find_if(
      fresh_.begin() + static_cast<std::ptrdiff_t>(next_), fresh_.end(),
      [&](const auto& one) { return one.first.first == dir && one.first.second == name; });
  if (fresh != fresh_.end()) {
    next_ = static_cast<std::size_t>(fresh - fresh_.begin()) + 1;
    return *fresh->second.answer();
  }
  if (open_.empty()) return std::nullopt;
  const auto open = open_.find(Key{dir, name});
  if (open == open_.end()) return std::nullopt;
  if (!open->second.has_come) return Probe{};
  const Look look = std::move(open->second);
  open_.erase(open);
  if (look.outdated || !tree_.table().is(look.dir)) return std::nullopt;
  return *look.answer();
}

void FileProbes::on_record(DirId dir, std::string_view name) {
  if (open_.empty()) return;
  const auto open = open_.find(Key{dir, name});
  if (open != open_.end()) open->second.outdated = true;
}

void FileProbes::on_doubt() {
  for (auto& [key, look] : open_) look.outdated = true;
}

std::vector<std::pair<DirId, std::string>> FileProbes::answered() {
  std::vector<Key> keys;
  for (auto& [key, look] : open_) {
    if (look.answer() == nullptr) continue;
    look.has_come = true;
    if (tree_.table().is(look.dir)) keys.push_back(key);
  }
  return keys;
}

/// What nobody took is of a file that is no candidate any more.
void FileProbes::end_turn() {
  fresh_.clear();
  next_ = 0;
  if (!open_.empty()) {
    std::erase_if(open_, [](const auto& one) { return one.second.has_come; });
  }
}

void FileProbes::list_unanswered(std::vector<EventSource::Unanswered>& out) const {
  for (const auto& [key, look] : open_) {
    const Nanos since = look.probes->asked_since(look.number);
    std::string path;
    if (since == 0 || look.answer() != nullptr || !tree_.table().is(look.dir) ||
        !tree_.table().path(key.first, path)) {
      continue;
    }
    out.push_back({join(path, key.second), "open", since});
  }
}

}  // namespace inotifier
