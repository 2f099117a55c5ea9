#include "daemon/pipeline.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/path.hpp"
#include "process/all_events.hpp"
#include "process/completion.hpp"
#include "process/filters.hpp"
#include "process/raw_types.hpp"
#include "source/watcher.hpp"

namespace inotifier {
namespace {

// About 10 ms of listing and looking.
constexpr int kUnitsPerTurn = 1000;

std::unique_ptr<Processor> make_processor(const WatchConfig& config, const Filters& filters) {
  if (config.processor == "all-events") return std::make_unique<AllEvents>();
  if (config.processor != "completed" && config.processor != "create-via-chunks") return nullptr;
  Completion::Options options;
  options.only_via_temporary = config.processor == "create-via-chunks";
  options.writer_check = config.writer_check == WatchConfig::WriterCheck::kLease;
  options.announce_renamed = config.renamed == WatchConfig::Renamed::kAnnounce;
  options.ignore_existing = config.existing == WatchConfig::Existing::kIgnore;
  options.settle = config.settle;
  options.stalled_after = config.stalled_after;
  options.min_size = config.min_size;
  return std::make_unique<Completion>(options, filters);
}

}  // namespace

/// One watch with all that is its own.
class Pipeline::Unit final : public Follower::Sink, public Out {
 public:
  Unit(std::size_t number, Pipeline& pipeline, const WatchConfig& config)
      : number_(number),
        pipeline_(pipeline),
        config_(config),
        filters_(config.include, config.exclude, config.temporary),
        wanted_(config.events.begin(), config.events.end()),
        raw_wanted_(std::any_of(config.events.begin(), config.events.end(),
                                [](const std::string& type) { return raw_bit(type) != 0; })) {
    for (const auto& factory : pipeline.factories_) {
      if (!processor_) processor_ = factory(config);
    }
    if (!processor_) processor_ = make_processor(config, filters_);
    if (!processor_) throw UsageError("unknown processor: " + config.processor);
  }

  void follow_inotify(Notifier* notifier) {
    Watcher::Options options;
    options.root = config_.path;
    options.recursive = config_.recursive;
    options.mask = mask();
    options.raw = raw_wanted_;
    options.poll_interval = config_.poll_interval;
    options.enters = [this](std::string_view path) { return filters_.enters(path); };
    auto watcher = std::make_unique<Watcher>(std::move(options), pipeline_.fs_, notifier, *this);
    watcher_ = watcher.get();
    follower_ = std::move(watcher);
  }

  void follow_poller(RemoteWatch::Asks asks) {
    auto remote = std::make_unique<RemoteWatch>(std::move(asks), *this);
    remote_ = remote.get();
    follower_ = std::move(remote);
  }

  Follower& follower() { return *follower_; }
  Watcher& watcher() { return *watcher_; }    ///< of a watch with inotify
  RemoteWatch& remote() { return *remote_; }  ///< of a watch with a poller
  const Filters& filters() const { return filters_; }
  const std::string& name() const { return config_.name; }
  const std::string& root() const { return config_.path; }

  std::uint32_t mask() const {
    std::uint32_t mask = processor_->mask();
    for (const std::string& type : config_.events) mask |= raw_bit(type) & IN_ALL_EVENTS;
    return mask;
  }

  void begin_turn(const Now& now, std::uint32_t turn) {
    now_ = now;
    announced_ = false;
    follower_->begin_turn(now, turn);
    if (!std::exchange(started_, true)) follower_->start(now);
  }

  void on_time() {
    follower_->on_time();
    const auto due = processor_->deadline();
    if (due && *due <= now_.mono) processor_->on_time(now_, *follower_, *this);
    tell_scanned();
  }

  void end_turn() { follower_->end_turn(announced_); }

  std::optional<Nanos> deadline() const {
    auto first = follower_->deadline();
    const auto due = processor_->deadline();
    if (due && (!first || *due < *first)) first = due;
    return first;
  }

  // Watcher::Sink
  void on_raw(const RawEvent& event) override {
    if (event.kind == RawEvent::Kind::kFound) ++tally(event.origin).found;
    processor_->on(event, now_, *follower_, *this);
  }

  void on_record(const Record& record, std::string_view path) override {
    if (!raw_wanted_) return;
    for (const RawType& type : raw_types()) {
      if ((record.mask & type.bit) == 0 || !wants(type.name)) continue;
      Report report;
      report.type = type.name;
      report.path = path;
      report.data.emplace_back("mask", static_cast<std::int64_t>(record.mask));
      report.data.emplace_back("cookie", static_cast<std::int64_t>(record.cookie));
      report.data.emplace_back("name", to_utf8(record.name));
      report.data.emplace_back("is_dir", (record.mask & IN_ISDIR) != 0);
      say(std::move(report));
    }
  }

  void on_half(bool is_from, std::uint32_t cookie, DirId dir, std::string_view name,
               std::string_view path, bool is_directory) override {
    MoveHalf half{number_, dir, std::string(name), std::string(path), is_directory};
    auto& pairing = pipeline_.pairing_;
    if (is_from) return pairing.add_from(cookie, std::move(half), now_.mono);
    const auto outcome =
        pairing.add_to(cookie, std::move(half), now_.mono, pipeline_.units_.size() > 1);
    if (outcome) pipeline_.settle(*outcome);
  }

  void on_status(std::string_view type, Value::Map data) override {
    const bool bad = type == "lost" || type == "degraded";
    if (bad) {
      std::string text;
      for (const auto& [key, value] : data) {
        if (value.text() != nullptr) text += " " + *value.text();
      }
      log::warning("watch {} ({}): {}:{}", name(), root(), type, text);
    } else {
      log::info("watch {} ({}): {}", name(), root(), type);
    }
    for (const auto& [key, value] : data) {
      if (config_.require_lease && key == "reason" && value == Value("no_lease")) {
        throw SetupError("watch " + name() + " (" + root() +
                         "): leases do not work here and require_lease = true");
      }
    }
    Report report;
    report.type = "watch." + std::string(type);
    report.data = std::move(data);
    say(std::move(report));
  }

  void on_scanned(Origin origin, std::string_view reason, Nanos duration) override {
    if (origin == Origin::kPoll) return;
    scanned_ = Scanned{origin, std::string(reason), duration};
  }

  // Out
  bool wants(std::string_view type) const override { return wanted_.contains(type); }

  void say(Report report) override {
    if (report.file && report.type != "file.stalled") {
      announced_ = true;
      Tally& count = tally(report.file->origin);
      ++(report.type == "file.removed" ? count.removed : count.announced);
    }
    if (wants(report.type)) pipeline_.said_.push_back({name(), root(), std::move(report)});
  }

 private:
  /// What came of one origin since the last scan of that origin.
  struct Tally {
    std::int64_t found = 0;
    std::int64_t announced = 0;
    std::int64_t removed = 0;
  };
  Tally& tally(Origin origin) { return tallies_[static_cast<std::size_t>(origin)]; }

  struct Scanned {
    Origin origin;
    std::string reason;
    Nanos duration;
  };

  /// After a scan, once everything that it found was looked at.
  void tell_scanned() {
    if (!scanned_ || processor_->undecided() > 0) return;
    const Tally count = std::exchange(tally(scanned_->origin), Tally{});
    Report report;
    const double seconds = static_cast<double>(scanned_->duration) / static_cast<double>(kSecond);
    if (scanned_->origin == Origin::kStartup) {
      report.type = "watch.scanned";
      report.data.emplace_back("found", count.found);
      report.data.emplace_back("announced", count.announced);
      log::info("watch {}: scanned, {} files found, {} announced", name(), count.found,
                count.announced);
    } else {
      report.type = "watch.rescan";
      report.data.emplace_back("reason", scanned_->reason);
      report.data.emplace_back("recovered", count.announced);
      report.data.emplace_back("removed", count.removed);
      log::warning("watch {}: rescan ({}) recovered {} files in {:.3f} s", name(), scanned_->reason,
                   count.announced, seconds);
    }
    report.data.emplace_back("seconds", seconds);
    scanned_.reset();
    say(std::move(report));
  }

  std::size_t number_;
  Pipeline& pipeline_;
  WatchConfig config_;
  Filters filters_;
  std::set<std::string, std::less<>> wanted_;
  bool raw_wanted_;
  std::unique_ptr<Processor> processor_;
  std::unique_ptr<Follower> follower_;
  Watcher* watcher_ = nullptr;     ///< follower_, if it is one
  RemoteWatch* remote_ = nullptr;  ///< follower_, if it is one
  Now now_;
  bool started_ = false;
  bool announced_ = false;
  std::optional<Scanned> scanned_;
  std::array<Tally, 6> tallies_;  ///< by origin
};

Pipeline::Pipeline(Fs& fs, Journal& journal, Journal::Publish publish)
    : fs_(fs), journal_(journal), publish_(std::move(publish)) {}

Pipeline::~Pipeline() = default;

void Pipeline::add_factory(ProcessorFactory factory) { factories_.push_back(std::move(factory)); }

std::size_t Pipeline::add_watch(const WatchConfig& config, Notifier* notifier,
                                std::string_view reason, std::string_view detail) {
  units_.push_back(std::make_unique<Unit>(units_.size(), *this, config));
  units_.back()->follow_inotify(notifier);
  if (!reason.empty()) units_.back()->follower().degraded(reason, {}, detail);
  return units_.size() - 1;
}

std::size_t Pipeline::add_remote_watch(const WatchConfig& config, RemoteWatch::Asks asks,
                                       std::string_view detail) {
  units_.push_back(std::make_unique<Unit>(units_.size(), *this, config));
  units_.back()->follow_poller(std::move(asks));
  units_.back()->follower().degraded("polled", {}, detail);
  return units_.size() - 1;
}

std::function<bool(std::string_view)> Pipeline::enters(std::size_t watch) const {
  return
      [filters = units_[watch]->filters()](std::string_view path) { return filters.enters(path); };
}

void Pipeline::rescan_all() { rescan_asked_ = true; }

void Pipeline::settle(const MovePairing::Outcome& outcome) {
  const auto& [from, to, from_is_told] = outcome;
  if (from && to && from->watch == to->watch) {
    units_[to->watch]->watcher().moved(from->dir, from->name, from->path, to->dir, to->name,
                                       to->is_directory);
    return;
  }
  if (from && !from_is_told)
    units_[from->watch]->watcher().left(from->dir, from->name, from->is_directory);
  if (to) {
    const std::string path = from ? join(units_[from->watch]->root(), from->path) : std::string();
    units_[to->watch]->watcher().arrived(to->dir, to->name, path, to->is_directory);
  }
}

bool Pipeline::step(const Now& now, std::span<const Input> inputs,
                    std::span<const Sightings> sightings) {
  ++turn_;
  for (auto& unit : units_) unit->begin_turn(now, turn_);
  for (const Input& input : inputs) {
    units_[input.watch]->watcher().on_bytes(input.bytes, input.position);
  }
  for (const Sightings& seen : sightings) units_[seen.watch]->remote().on_sightings(seen);
  while (auto outcome = pairing_.expire(now.mono)) settle(*outcome);
  if (std::exchange(rescan_asked_, false)) {
    for (auto& unit : units_) unit->follower().rescan("signal", Origin::kRescan);
  }
  bool more = false;
  for (auto& unit : units_) {
    if (unit->follower().slice(kUnitsPerTurn)) more = true;
    unit->on_time();
  }
  // Persist, then publish.
  if (!said_.empty()) journal_.commit(said_, fs_.wall_clock(), publish_);
  said_.clear();
  for (auto& unit : units_) unit->end_turn();
  return more;
}

std::optional<Nanos> Pipeline::deadline() const {
  auto first = pairing_.deadline();
  for (const auto& unit : units_) {
    const auto due = unit->deadline();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

}  // namespace inotifier
