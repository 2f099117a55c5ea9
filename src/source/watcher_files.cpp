// What a Watcher shows its processor of the files: see Files.
#include <cerrno>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "source/watcher.hpp"

namespace inotifier {

bool Watcher::path(DirId dir, std::string_view name, std::string& out) {
  const std::string* directory = tree_.table().is_alive(dir) ? tree_.open().path(dir) : nullptr;
  if (directory == nullptr) return false;
  out = *directory;
  if (!out.empty() && !name.empty()) out += '/';
  out += name;
  return true;
}

int Watcher::stat(DirId dir, std::string_view name, Stat& out) {
  look_stamp_ = 0;
  if (RemoteTree* part = part_of(dir)) return part->stat(dir, name);
  const int handle = tree_.table().is_alive(dir) ? tree_.open().open(dir) : -1;
  return handle < 0 ? EAGAIN : -fs_.stat(handle, std::string(name), out);
}

int Watcher::stat_path(std::string_view path, Stat& out) {
  const int root = root_.open();
  return root < 0 ? EAGAIN : -fs_.stat(root, std::string(path), out);
}

Files::Writer Watcher::writer(DirId dir, std::string_view name, Stat& out) {
  if (!tree_.table().is_alive(dir)) return Writer::kChanged;
  if (part_of(dir) != nullptr) return Writer::kUnknown;
  const FsTraits& traits = tree_.traits_of(dir);
  if (!traits.leases) {
    tell_no_lease(traits, false);
    return Writer::kUnknown;
  }
  auto probe = probes_.take(dir, name);
  if (!probe) {
    const FileName file{dir, name};
    probes_.start({&file, 1});
    probe = probes_.take(dir, name);
  }
  if (!probe) return Writer::kChanged;
  out = probe->stat;
  look_stamp_ = probe->stamp;
  if (probe->writer == Writer::kUnknown) {
    std::string relative;
    path(dir, name, relative);
    out_.degraded(
        {Degraded::Reason::kNoLease, "",
         describe("fcntl(F_SETLEASE)", join(root_.path(), relative), probe->error) +
             ": whether a writer has a file open cannot be seen, the quiet time decides; run the "
             "daemon as the files' owner, or give it CAP_LEASE and the right to read"});
  }
  return probe->writer;
}

std::vector<EventSource::Unanswered> Watcher::unanswered() const {
  std::vector<Unanswered> all;
  if (root_.silent_since() != 0) all.push_back({"", "open", root_.silent_since()});
  probes_.list_unanswered(all);
  for (const auto& part : parts_) part.second.list_unanswered(now_.mono, all);
  return all;
}

bool Watcher::later_write_shows(const Stat& stat) {
  if (polled_ != nullptr) return true;  // it was quiet for seconds
  const Nanos stamp = look_stamp_ != 0 ? look_stamp_ : fs_.stamp_clock();
  const auto is_past = [stamp](Nanos time, Nanos unit, Nanos ahead) {
    return time <= stamp - unit || time > stamp + ahead;
  };
  constexpr Nanos kTwoSeconds = 2 * kSecond;  // vfat counts in twos
  if (stat.is_coarse()) return is_past(stat.ctime, kTwoSeconds, kTwoSeconds);
  // CLOCK_REALTIME_COARSE stamps files; it stands still for up to 10 ms (CONFIG_HZ=100).
  constexpr Nanos kTick = 10 * kMillisecond;
  if (root_.traits().fine_times && !tree_.has_other_volumes()) return true;
  return is_past(stat.mtime, 1, kTick) && is_past(stat.ctime, 1, kTick);
}

}  // namespace inotifier
