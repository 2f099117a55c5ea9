#include "cli/survey.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/path.hpp"
#include "fs/real_fs.hpp"
#include "process/filters.hpp"

namespace inotifier {
namespace {

// Owners and leases are looked at on a sample: the first files, of not too many owners.
constexpr std::int64_t kSampledFiles = 1000;
constexpr std::size_t kSampledOwners = 8;
constexpr std::size_t kTriesPerOwner = 3;
constexpr std::size_t kMostSetAside = 8;

constexpr std::array<std::string_view, 18> kSetAsideNames{
    "done",       "processed", "finished", "archive", "archived", "completed",
    "imported",   "sent",      "failed",   "error",   "errors",   "rejected",
    "quarantine", "old",       "backup",   "trash",   "output",   "out"};

class Surveyor {
 public:
  Surveyor(const WatchConfig& watch, Fs& fs)
      : watch_(watch), fs_(fs), filters_(watch.include, watch.exclude, watch.temporary) {}

  Survey run() {
    root_ = fs_.open_root(watch_.path);
    if (root_ < 0) {
      survey_.error = -root_;
      return std::move(survey_);
    }
    survey_.traits = fs_.traits(root_);
    Stat stat;
    if (fs_.stat(root_, "", stat) == 0) devices_[""] = stat.dev;
    stack_.emplace_back();
    while (!stack_.empty()) {
      const auto path = std::move(stack_.back());
      stack_.pop_back();
      enter(path);
    }
    try_leases();
    fs_.close(root_);
    return std::move(survey_);
  }

 private:
  void enter(const std::string& path) {
    const int handle = path.empty() ? root_ : fs_.open_directory(root_, path);
    if (handle == -ENOENT || handle == -ENOTDIR || handle == -ELOOP) return;
    if (handle < 0) {
      unreadable(path, -handle);
      return;
    }
    ++survey_.directories;
    look_for_mount(handle, path);
    int error = 0;
    if (const auto listing = fs_.list(handle, error)) {
      Entry entry;
      while ((error = listing->next(entry)) > 0) on_entry(path, entry);
    }
    if (error != 0) unreadable(path, std::abs(error));
    if (handle != root_) fs_.close(handle);
  }

  void unreadable(const std::string& path, int error) {
    if (path.empty()) survey_.error = error;
    if (survey_.unreadable++ > 0) return;
    survey_.first_unreadable = path;
    survey_.unreadable_error = error;
  }

  /// A directory on another device than the one above it.
  void look_for_mount(int handle, const std::string& path) {
    Stat stat;
    if (path.empty() || fs_.stat(handle, "", stat) != 0) return;
    // Only where the device changes is it noted, so the nearest noted one above counts.
    std::string above = path;
    auto known = devices_.end();
    while (known == devices_.end() && !above.empty()) {
      const auto slash = above.rfind('/');
      above.resize(slash == std::string::npos ? 0 : slash);
      known = devices_.find(above);
    }
    if (known == devices_.end() || known->second == stat.dev) return;
    devices_[path] = stat.dev;
    survey_.others[path] = fs_.traits(handle);
  }

  void on_entry(const std::string& directory, const Entry& entry) {
    const auto path = join(directory, entry.name);
    auto kind = entry.kind;
    Stat stat;
    bool has_stat = false;
    if (kind == Entry::Kind::kUnknown) {
      if (fs_.stat(root_, path, stat) != 0) return;
      has_stat = true;
      kind = S_ISREG(stat.mode)   ? Entry::Kind::kFile
             : S_ISDIR(stat.mode) ? Entry::Kind::kDirectory
                                  : Entry::Kind::kOther;
    }
    if (kind == Entry::Kind::kDirectory) {
      if (!watch_.recursive || !filters_.enters(path)) return;
      if (is_set_aside(entry.name) && survey_.set_aside.size() < kMostSetAside) {
        survey_.set_aside.push_back(path);
      }
      stack_.push_back(path);
      return;
    }
    if (kind != Entry::Kind::kFile) return;
    ++survey_.files;
    const auto verdict = filters_.file(path);
    if (verdict == Filters::Verdict::kTemporary) ++survey_.temporary;
    if (verdict != Filters::Verdict::kAdmitted) return;
    const bool sampled = survey_.admitted < kSampledFiles;
    if (!has_stat && (sampled || watch_.min_size > 0)) {
      if (fs_.stat(root_, path, stat) != 0) return;
      has_stat = true;
    }
    if (has_stat && stat.size < watch_.min_size) return;
    ++survey_.admitted;
    if (!has_stat || !sampled) return;
    if (owners_.size() == kSampledOwners && !owners_.contains(stat.uid)) return;
    auto& paths = owners_[stat.uid];
    if (paths.size() < kTriesPerOwner) paths.push_back(path);
  }

  static bool is_set_aside(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (lower.starts_with('.') || lower.starts_with('_')) lower.erase(0, 1);
    return std::find(kSetAsideNames.begin(), kSetAsideNames.end(), lower) != kSetAsideNames.end();
  }

  void try_leases() {
    if (watch_.writer_check == WatchConfig::WriterCheck::kOff || !survey_.traits.leases) return;
    for (const auto& [uid, paths] : owners_) {
      Survey::Trial trial;
      trial.uid = uid;
      for (const auto& path : paths) {
        Stat stat;
        trial.path = path;
        trial.error = 0;
        trial.result = fs_.writer(root_, path, stat, trial.error);
        // Another file may tell more than one that somebody writes just now.
        if (trial.result == Files::Writer::kNone || trial.result == Files::Writer::kUnknown) break;
      }
      survey_.trials.push_back(std::move(trial));
    }
  }

  const WatchConfig& watch_;
  Fs& fs_;
  Filters filters_;
  Survey survey_;
  int root_ = -1;
  std::vector<std::string> stack_;
  std::map<std::string, std::uint64_t> devices_;
  std::map<std::uint32_t, std::vector<std::string>> owners_;
};

}  // namespace

Survey survey(const WatchConfig& watch, Fs& fs) { return Surveyor(watch, fs).run(); }

JournalSurvey survey_journal(const std::string& path, Fs& fs) {
  JournalSurvey place;
  place.directory = nearest_directory(path);
  place.remote = is_remote(place.directory);
  if (place.remote) return place;
  if (::access(place.directory.c_str(), W_OK | X_OK) != 0) place.error = errno;
  const int handle = fs.open_root(place.directory);
  if (handle >= 0) {
    place.type = fs.traits(handle).type;
    fs.close(handle);
  }
  for (const auto* suffix : {"", "-wal"}) {
    struct stat stat {};
    if (::stat((path + suffix).c_str(), &stat) != 0) continue;
    place.is_there = true;
    place.used += stat.st_size;
    if (::access((path + suffix).c_str(), R_OK | W_OK) != 0 && place.error == 0) {
      place.error = errno;
    }
  }
  struct statvfs space {};
  if (::statvfs(place.directory.c_str(), &space) == 0) {
    place.free = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  }
  return place;
}

std::string nearest_directory(std::string path) {
  do {
    const auto slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  } while (!path.empty() && ::access(path.c_str(), F_OK) != 0);
  return path.empty() ? "/" : path;
}

std::string error_text(int error) {
  const char* text = strerrordesc_np(error);
  const char* name = strerrorname_np(error);
  return fmt::format("{} ({})", text != nullptr ? text : "unknown error",
                     name != nullptr ? name : fmt::format("{}", error));
}

}  // namespace inotifier
