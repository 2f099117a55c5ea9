#include "cli/findings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "base/endpoint.hpp"
#include "base/path.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"

namespace inotifier {
namespace {

using Level = Finding::Level;

// DESIGN: `run` warns above as well.
constexpr std::int64_t kManyFiles = 10'000;
// The quiet time that decides where leases do not.
constexpr std::int64_t kQuietWithoutLease = 2'000'000'000;
// The kernel's default (inotify(7)); a smaller queue overflows in ordinary work.
constexpr std::int64_t kLeastQueue = 16'384;
constexpr unsigned kCapLease = 28;  // capabilities(7)

bool has_cap_lease() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:")) {
      return ((std::stoull(line.substr(7), nullptr, 16) >> kCapLease) & 1U) != 0;
    }
  }
  return false;
}

std::string counted(std::int64_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(number), number == 1 ? one : many);
}

class Judge {
 public:
  Judge(const WatchConfig& watch, const Survey& survey) : watch_(watch), survey_(survey) {}

  Findings run() {
    if (survey_.error != 0) {
      root();
      return std::move(findings_);
    }
    file_systems();
    tree();
    first_start();
    leases();
    set_aside();
    return std::move(findings_);
  }

 private:
  void emit(Level level, std::string text, std::string remedy = "") {
    findings_.push_back({level, std::move(text), std::move(remedy)});
  }

  void root() {
    std::string remedy;
    if (survey_.error == ENOENT) remedy = "make the directory, or correct the path";
    if (survey_.error == ENOTDIR) remedy = "write the directory, not a file in it";
    if (survey_.error == EACCES) {
      remedy = fmt::format("uid {} needs read and search permission on it", ::geteuid());
    }
    emit(Level::kError, error_text(survey_.error), remedy);
  }

  void file_systems() {
    file_system("", survey_.traits);
    for (const auto& [path, traits] : survey_.others) file_system(path, traits);
  }

  void file_system(const std::string& path, const FsTraits& traits) {
    const auto where = path.empty() ? "" : fmt::format("{}: ", visible(path));
    const auto interval = duration_text(watch_.poll_interval);
    if (traits.local && watch_.backend == WatchConfig::Backend::kPoll) {
      emit(Level::kNote, fmt::format("{}{}, polled every {}", where, traits.type, interval),
           "backend = \"auto\" hears of files at once here");
    } else if (traits.local) {
      emit(Level::kOk, fmt::format("{}{}, events come", where, traits.type));
    } else if (watch_.backend == WatchConfig::Backend::kInotify) {
      emit(Level::kWarning,
           fmt::format("{}{} tells nothing of what other machines write", where, traits.type),
           "write backend = \"auto\", which polls besides");
    } else {
      emit(Level::kNote,
           fmt::format("{}{} tells nothing of what other machines write: polled every {}", where,
                       traits.type, interval));
    }
  }

  void tree() {
    emit(Level::kOk,
         fmt::format("{}, {}{}", counted(survey_.directories, "directory", "directories"),
                     counted(survey_.files, "file", "files"),
                     survey_.temporary == 0
                         ? ""
                         : fmt::format(", {} unfinished", grouped(survey_.temporary))));
    if (survey_.unreadable == 0) return;
    emit(Level::kWarning,
         fmt::format("{} cannot be read, the first is {}: {}",
                     counted(survey_.unreadable, "directory", "directories"),
                     visible(survey_.first_unreadable), error_text(survey_.unreadable_error)),
         "files in there are not seen; exclude them, or give the permission");
  }

  void first_start() {
    if (publishes_records(watch_.processor)) return;
    if (watch_.existing == WatchConfig::Existing::kIgnore) {
      emit(Level::kOk, "a first start announces none of them (existing = \"ignore\")");
      return;
    }
    const auto text =
        fmt::format("a first start announces {}", counted(survey_.admitted, "file", "files"));
    if (survey_.admitted > kManyFiles) {
      emit(Level::kWarning, text, "existing = \"ignore\" announces only what comes from then on");
    } else {
      emit(Level::kOk, text);
    }
  }

  void leases() {
    if (publishes_records(watch_.processor)) return;
    if (watch_.writer_check == WatchConfig::WriterCheck::kOff) {
      emit(Level::kNote, fmt::format("nobody is asked for writers (writer_check = \"off\"){}",
                                     watch_.settle > 0 ? fmt::format(", {} without a change decide",
                                                                     duration_text(watch_.settle))
                                                       : ""));
      return;
    }
    const bool any_file_system =
        survey_.traits.leases || std::any_of(survey_.others.begin(), survey_.others.end(),
                                             [](const auto& at) { return at.second.leases; });
    if (!any_file_system) {
      no_lease(
          fmt::format("leases on {} do not tell whether a file has a writer", survey_.traits.type),
          "");
      return;
    }
    if (survey_.trials.empty()) untried();
    for (const auto& trial : survey_.trials) tried(trial);
  }

  void untried() {
    if (has_cap_lease()) {
      emit(Level::kOk, "leases work for files of every owner (CAP_LEASE)");
    } else {
      emit(Level::kNote,
           fmt::format("no file to try a lease on; without CAP_LEASE it works for files of uid {}",
                       ::geteuid()),
           "run the daemon as the writer's user, or grant it CAP_LEASE");
    }
  }

  void tried(const Survey::Trial& trial) {
    const auto whose = fmt::format("files of uid {}", trial.uid);
    switch (trial.result) {
      case Files::Writer::kNone:
        emit(Level::kOk, fmt::format("leases work for {}", whose));
        break;
      case Files::Writer::kUnknown:
        no_lease(fmt::format("no lease on {}, such as {}: {}", whose, visible(trial.path),
                             error_text(trial.error)),
                 trial.uid == ::geteuid()
                     ? ""
                     : fmt::format("run the daemon as uid {}, or grant it CAP_LEASE and the right "
                                   "to read (systemd: AmbientCapabilities=CAP_LEASE; containers: "
                                   "--cap-add LEASE)",
                                   trial.uid));
        break;
      case Files::Writer::kOpen:
        emit(Level::kNote, fmt::format("{}: {} has a writer just now; whether leases work is not "
                                       "known",
                                       whose, visible(trial.path)));
        break;
      case Files::Writer::kGone:
      case Files::Writer::kNotRegular:
      case Files::Writer::kChanged:
      case Files::Writer::kPending:
        break;
    }
  }

  void no_lease(const std::string& reason, const std::string& remedy) {
    if (watch_.require_lease) {
      emit(Level::kError, reason + ", and require_lease is set", remedy);
      return;
    }
    emit(Level::kWarning,
         fmt::format("{}: {} without a change decide instead", reason,
                     duration_text(std::max(watch_.settle, kQuietWithoutLease))),
         remedy);
  }

  void set_aside() {
    // all-events has no idea of finished.
    if (publishes_records(watch_.processor)) return;
    for (const auto& path : survey_.set_aside) {
      auto exclude = watch_.exclude;
      exclude.push_back(path + "/**");
      std::string list;
      for (const auto& pattern : exclude) {
        list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", visible(pattern));
      }
      emit(Level::kWarning,
           fmt::format("{}/ looks like a place where finished files are put away: each would be "
                       "announced again there",
                       visible(path)),
           fmt::format("exclude = [{}]", list));
    }
  }

  const WatchConfig& watch_;
  const Survey& survey_;
  Findings findings_;
};

/// A number that a sysctl is usually set to: the next power of two with room to grow.
std::int64_t roomy(std::int64_t needed) {
  std::int64_t number = 8192;
  while (number < needed + needed / 2) number *= 2;
  return number;
}

Finding judge(const InotifyLimit& limit, std::int64_t needed, std::int64_t used, bool is_complete,
              std::int64_t proposal) {
  if (!limit.most) return {Level::kNote, fmt::format("{} cannot be read", limit.name), ""};
  auto text = fmt::format("{} = {}: {} needed, {} in use by programs of uid {}{}", limit.name,
                          grouped(*limit.most), grouped(needed), grouped(used), ::geteuid(),
                          is_complete ? "" : " (at least)");
  const auto remedy = fmt::format(
      "sysctl -w {}={}, and for the next boot /etc/sysctl.d/ (see "
      "99-inotifier-sysctl.conf)",
      limit.name, proposal);
  if (needed + used > *limit.most) return {Level::kWarning, text + ": too few", remedy};
  // A tenth left is soon used up by new directories.
  if ((needed + used) * 10 > *limit.most * 9) return {Level::kWarning, text + ": tight", remedy};
  return {Level::kOk, text, ""};
}

bool is_below(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path == directory ||
         (path.starts_with(directory) && path.substr(directory.size()).starts_with('/'));
}

}  // namespace

std::string_view name_of(Finding::Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kNote:
      return "note";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "";
}

std::string grouped(std::int64_t number) {
  auto text = fmt::format("{}", number);
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > (number < 0 ? 1 : 0); i -= 3) {
    text.insert(static_cast<std::size_t>(i), ",");
  }
  return text;
}

Findings judge(const WatchConfig& watch, const Survey& survey) {
  return Judge(watch, survey).run();
}

Findings judge(const InotifyLimits& limits, std::int64_t needed, std::int64_t instances) {
  Findings findings{
      judge(limits.watches, needed, limits.watches_used, limits.is_complete,
            roomy(needed + limits.watches_used)),
      judge(limits.instances, instances, limits.instances_used, limits.is_complete, 1024)};
  const auto& queue = limits.queued_events;
  if (queue.most && *queue.most < kLeastQueue) {
    findings.push_back({Level::kWarning,
                        fmt::format("{} = {}: a burst overflows it, and costs a scan each time",
                                    queue.name, grouped(*queue.most)),
                        fmt::format("sysctl -w {}=131072", queue.name)});
  } else if (queue.most) {
    findings.push_back({Level::kOk, fmt::format("{} = {}", queue.name, grouped(*queue.most)), ""});
  }
  return findings;
}

Findings judge(const Config& config) {
  Findings findings;
  if (config.watches.empty()) {
    findings.push_back({Level::kWarning, "no watch: the daemon would have nothing to do",
                        "add [[watch]] with path = \"/some/directory\", or set INOTIFIER_WATCH"});
  }
  auto endpoints = config.publish.endpoints;
  endpoints.insert(endpoints.end(), config.fetch.endpoints.begin(), config.fetch.endpoints.end());
  for (const auto& endpoint : endpoints) {
    if (!Endpoint(endpoint).is_ipc()) continue;
    const auto directory = nearest_directory(std::string(Endpoint(endpoint).address));
    if (::access(directory.c_str(), W_OK | X_OK) == 0) continue;
    findings.push_back({Level::kWarning,
                        fmt::format("{} cannot be made by uid {}: {} {}", visible(endpoint),
                                    ::geteuid(), visible(directory), error_text(errno)),
                        "run check as the user of the daemon, or choose another endpoint"});
  }
  for (const auto& watch : config.watches) {
    if (watch.previous_name.empty()) continue;
    findings.push_back(
        {Level::kNote,
         fmt::format("{} takes over what the journal knows of {}", watch.name, watch.previous_name),
         ""});
  }
  for (const auto& inner : config.watches) {
    for (const auto& outer : config.watches) {
      if (&inner == &outer || !is_below(inner.path, outer.path)) continue;
      if (inner.path == outer.path && &inner < &outer) continue;
      if (inner.path != outer.path && !outer.recursive) continue;
      findings.push_back({Level::kNote,
                          fmt::format("{} lies within {}: a file there is announced by both, each "
                                      "with its own topic",
                                      inner.name, outer.name),
                          ""});
    }
  }
  return findings;
}

}  // namespace inotifier
