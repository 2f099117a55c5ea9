#include "daemon/watch_set.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/path.hpp"
#include "fs/real_fs.hpp"

namespace inotifier {
namespace {

bool is_below(const std::string& path, const std::string& directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || directory == "/" || path[directory.size()] == '/');
}

}  // namespace

WatchSet::WatchSet(Pipeline& pipeline, InotifySource& source, PollBox& poll_box)
    : pipeline_(pipeline), source_(source), poll_box_(poll_box) {
  pipeline.set_other_instance([this](std::size_t watch, std::uint64_t position, int& error) {
    return other_instance(watch, position, error);
  });
  pipeline.set_part_pollers(
      {[this](std::size_t watch, DirId part, const std::string& path, const WatchConfig& config) {
         Poller& poller = add_poller();
         start_poller(poller, watch, part, path, config);
         return asks_of(poller);
       },
       [this](std::size_t watch, DirId part) { stop_poller(watch, part); }});
}

void WatchSet::add(const WatchConfig& watch) {
  const std::size_t number = count_++;
  const bool remote = watch.backend != WatchConfig::Backend::kInotify && is_remote(watch.path);
  running_.push_back({watch, number, remote, std::nullopt});
  if (remote) {
    Poller& poller = add_poller();
    return start_poller(poller, pipeline_.add_remote_watch(watch, asks_of(poller)), kRootDir, "",
                        watch);
  }
  int error = 0;
  std::optional<Degraded> polled;
  if (watch.backend != WatchConfig::Backend::kPoll) {
    running_.back().instance = instance_for(watch.path, error);
    if (!running_.back().instance) {
      polled = Degraded{Degraded::Reason::kInstanceLimit, "",
                        describe("inotify_init1", watch.path, error) +
                            ": raise fs.inotify.max_user_instances (sysctl "
                            "fs.inotify.max_user_instances=1024), or the limit of open files. "
                            "Until then this watch is polled"};
    }
  }
  const auto& instance = running_.back().instance;
  pipeline_.add_watch(watch, instance ? &instances_.at(*instance).instance : nullptr, polled);
}

std::optional<std::size_t> WatchSet::add_instance(std::uint64_t position, int& error) {
  const auto added = source_.add_instance(position, error);
  if (!added) return std::nullopt;
  instances_.insert({added->number, {pipeline_.add_instance(added->number, added->notifier), {}}});
  return added->number;
}

std::optional<std::size_t> WatchSet::instance_for(const std::string& root, int& error) {
  std::optional<std::size_t> found;
  if (instances_.size() < kUnsharedInstances) found = add_instance(0, error);
  if (!found) {
    // The one with the fewest watches, none of which has a directory that this one has.
    std::size_t fewest = SIZE_MAX;
    for (const auto& [number, one] : instances_) {
      const bool overlaps = std::ranges::any_of(one.roots, [&](const std::string& other) {
        return is_below(root, other) || is_below(other, root);
      });
      if (overlaps || one.roots.size() >= fewest) continue;
      fewest = one.roots.size();
      found = number;
    }
  }
  if (!found && instances_.size() >= kUnsharedInstances) found = add_instance(0, error);
  if (found) instances_.at(*found).roots.push_back(root);
  return found;
}

void WatchSet::leave_instance(const Running& running) {
  if (!running.instance) return;
  std::vector<std::string>& roots = instances_.at(*running.instance).roots;
  roots.erase(std::ranges::find(roots, running.config.path));
  if (!roots.empty()) return;
  instances_.erase(*running.instance);
  pipeline_.remove_instance(*running.instance);
  source_.remove_instance(*running.instance);
}

SharedInstance* WatchSet::other_instance(std::size_t watch, std::uint64_t position, int& error) {
  const auto number = add_instance(position, error);
  if (!number) return nullptr;
  const auto running = std::ranges::find(running_, watch, &Running::number);
  Instance& other = instances_.at(*number);
  std::vector<std::string>& roots = instances_.at(running->instance.value()).roots;
  roots.erase(std::ranges::find(roots, running->config.path));  // others are left
  running->instance = number;
  other.roots.push_back(running->config.path);
  return &other.instance;
}

Poller& WatchSet::add_poller() {
  return *pollers_.emplace_back(std::make_unique<Poller>(poll_box_));
}

RemoteTree::Asks WatchSet::asks_of(Poller& poller) {
  return {[&poller](std::vector<std::string> paths) { poller.ask(std::move(paths)); },
          [&poller] { poller.hurry(); }, [&poller] { return poller.asked_since(); }};
}

void WatchSet::start_poller(Poller& poller, std::size_t watch, DirId part, const std::string& path,
                            const WatchConfig& config) {
  PollRound::Options options;
  options.watch = watch;
  options.part = part;
  options.root = join(config.path, path);
  options.recursive = config.recursive;
  options.enters = [path, enters = pipeline_.enters(watch)](std::string_view below) {
    return enters(join(path, below));
  };
  poller.start(std::move(options), config.poll_interval);
}

void WatchSet::stop_poller(std::size_t watch, DirId part) {
  std::erase_if(pollers_,
                [&](const auto& one) { return one->watch() == watch && one->part() == part; });
}

void WatchSet::remove(const Running& running) {
  pipeline_.remove_watch(running.number);
  leave_instance(running);
  std::erase_if(pollers_, [&](const auto& one) { return one->watch() == running.number; });
}

bool WatchSet::change_to(const std::vector<WatchConfig>& watches) {
  std::vector<Running> gone = running_;
  std::vector<Running> kept;
  std::vector<const WatchConfig*> fresh;
  for (const WatchConfig& watch : watches) {
    const auto known = std::find_if(gone.begin(), gone.end(), [&](const Running& running) {
      const WatchConfig& old = running.config;
      return old.name == watch.name && old.path == watch.path && old.backend == watch.backend &&
             old.recursive == watch.recursive && (!running.polled_remotely || old == watch);
    });
    if (known == gone.end()) {
      fresh.push_back(&watch);
      continue;
    }
    kept.push_back(std::move(*known));
    gone.erase(known);
  }
  std::vector<std::size_t> removed;
  for (const Running& running : gone) removed.push_back(running.number);
  try {
    pipeline_.note_change(removed, fresh);
  } catch (const SetupError& error) {
    log::error("SIGHUP: everything stays as it is: {}", error.what());
    return false;
  }

  for (Running& running : kept) {
    const auto watch = std::find_if(watches.begin(), watches.end(), [&](const WatchConfig& one) {
      return one.name == running.config.name;
    });
    if (running.config == *watch) continue;
    log::info("watch {}: other options", watch->name);
    pipeline_.change_watch(running.number, *watch);
    running.config = *watch;
  }
  running_ = std::move(kept);
  for (const Running& running : gone) {
    log::info("watch {}: removed", running.config.name);
    remove(running);
  }
  for (const WatchConfig* watch : fresh) {
    log::info("watch {}: {} ({})", watch->name, watch->path, watch->processor);
    add(*watch);
  }
  return true;
}

}  // namespace inotifier
