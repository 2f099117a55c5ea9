#include "daemon/pipeline.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"

namespace inotifier {
namespace {

// About 10 ms of listing and looking.
constexpr int kUnitsPerTurn = 1000;

// A disk that was full is asked again so often.
constexpr Nanos kRetryInterval = kSecond;
// Scans that wait for a consumer look so often whether it got on.
constexpr Nanos kRoomInterval = 100 * kMillisecond;

}  // namespace

Pipeline::Pipeline(Fs& fs, Journal& journal, Journal::Publish publish)
    : fs_(fs), journal_(journal), publish_(std::move(publish)) {}

Pipeline::~Pipeline() = default;

void Pipeline::add_factory(ProcessorFactory factory) { factories_.push_back(std::move(factory)); }

ActiveWatch& Pipeline::make_watch(const WatchConfig& config) {
  const Journal::Watch kept = journal_.open_watch(config.name, config.previous_name, config.path);
  watches_.push_back(std::make_unique<ActiveWatch>(
      ActiveWatch::Shared{watches_.size(), part_pollers_, fs_, renames_, factories_, reports_,
                          turn_, other_instance_},
      config, kept));
  return *watches_.back();
}

std::size_t Pipeline::begin_watch(ActiveWatch& watch, const std::optional<Degraded>& polled) {
  journal_.load(watch.tables());
  list_live();
  if (polled) watch.source().output().degraded(*polled);
  return watches_.size() - 1;
}

SharedInstance& Pipeline::add_instance(std::size_t number, Notifier& notifier) {
  if (number >= instances_.size()) instances_.resize(number + 1);
  instances_[number] = std::make_unique<SharedInstance>(notifier);
  return *instances_[number];
}

std::size_t Pipeline::add_watch(const WatchConfig& config, SharedInstance* instance,
                                const std::optional<Degraded>& polled) {
  ActiveWatch& watch = make_watch(config);
  watch.use_inotify(instance);
  return begin_watch(watch, polled);
}

std::size_t Pipeline::add_remote_watch(const WatchConfig& config, RemoteTree::Asks asks) {
  ActiveWatch& watch = make_watch(config);
  watch.use_poller(std::move(asks));
  return begin_watch(
      watch,
      Degraded{Degraded::Reason::kPolled, "",
               "a network or FUSE file system: writes of other machines give no events and leases "
               "do not tell; it is polled, and a file is finished when it was quiet",
               true});
}

std::function<bool(std::string_view)> Pipeline::enters(std::size_t watch) const {
  return [filters = watches_[watch]->filters()](std::string_view path) {
    return filters.enters(path);
  };
}

void Pipeline::rescan_all() { rescan_asked_ = true; }

void Pipeline::list_live() {
  live_.clear();
  tables_.clear();
  for (const auto& watch : watches_) {
    if (!watch) continue;
    live_.push_back(watch.get());
    tables_.push_back(watch->tables());
  }
}

void Pipeline::change_watch(std::size_t watch, const WatchConfig& config) {
  watches_[watch]->change(config);
  list_live();
}

void Pipeline::note_change(const std::vector<std::size_t>& removed,
                           std::vector<const WatchConfig*> added) {
  // What is added may be what was removed, under another name or at another place.
  persist(true);
  if (journal_.blocked()) throw SetupError("the journal has no room");
  Journal::WatchChange change{{}, std::move(added)};
  for (const std::size_t watch : removed) {
    change.closed.push_back(watches_[watch]->tables().watch);
  }
  journal_.change_watches(change);
}

void Pipeline::remove_watch(std::size_t watch) {
  watches_[watch].reset();
  list_live();
}

std::vector<WatchStatus> Pipeline::status() const {
  std::vector<WatchStatus> all;
  for (const ActiveWatch* watch : live_) all.push_back(watch->status());
  return all;
}

bool Pipeline::step(const Now& now, std::span<const Input> inputs,
                    std::span<const PollResult> results) {
  if (journal_.blocked()) {
    if (now.mono < next_retry_) return false;
    next_retry_ = now.mono + kRetryInterval;
    return journal_.retry(tables_, publish_);
  }
  ++turn_;
  std::size_t room = find_room(now);
  for (ActiveWatch* watch : live_) {
    watch->set_room(room);
    watch->begin_turn(now);
  }
  for (const Input& input : inputs) {
    if (instances_[input.instance]) {
      instances_[input.instance]->on_bytes(input.bytes, input.position);
    }
  }
  for (const PollResult& seen : results) {
    if (watches_[seen.watch]) watches_[seen.watch]->on_poll_result(seen);
  }
  renames_.on_time(now.mono);
  if (std::exchange(rescan_asked_, false)) {
    for (ActiveWatch* watch : live_) watch->source().rescan("signal", Origin::kRescan);
  }
  bool more = false;
  bool scan_ended = false;
  room -= std::min(room, reports_.size());
  for (ActiveWatch* watch : live_) {
    const std::size_t before = reports_.size();
    watch->set_room(room);
    if (watch->source().slice(kUnitsPerTurn)) more = true;
    if (watch->on_time()) scan_ended = true;
    room -= std::min(room, reports_.size() - before);
  }
  // The next turn has some again, or knows that it has none.
  if (room == 0 && !scans_held_) more = true;
  if (scan_ended) journal_.release_memory();
  persist(!more);
  for (ActiveWatch* watch : live_) watch->end_turn();
  return journal_.tidy(now) || more;
}

/// How many events of what scans find may come in this turn.
std::size_t Pipeline::find_room(const Now& now) {
  const std::size_t room = std::min<std::size_t>(kUnitsPerTurn, journal_.room(now));
  const bool crowded = room == 0;
  if (crowded) next_room_ = now.mono + kRoomInterval;
  if (crowded != std::exchange(scans_held_, crowded)) {
    if (crowded) {
      log::warning("scans wait: the journal is full of events that a consumer has not had yet");
    } else {
      log::info("scans go on");
    }
  }
  return room;
}

/// Persist, then publish. Directories alone can wait until there is nothing else to do.
void Pipeline::persist(bool idle) {
  const bool due =
      !reports_.empty() ||
      std::any_of(tables_.begin(), tables_.end(), [idle](const Journal::Tables& tables) {
        return tables.files->has_changes() || (idle && tables.directories->has_changes());
      });
  if (!due) return;
  journal_.commit(reports_, fs_.wall_clock(), tables_, publish_);
  reports_.clear();
}

std::optional<Nanos> Pipeline::deadline() const {
  if (journal_.blocked()) return next_retry_;
  auto first = renames_.deadline();
  if (scans_held_ && (!first || next_room_ < *first)) first = next_room_;
  for (const ActiveWatch* watch : live_) {
    const auto due = watch->deadline();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

}  // namespace inotifier
