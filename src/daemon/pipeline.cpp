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

constexpr std::int64_t kManyFiles = 10'000;
// A disk that was full is asked again so often.
constexpr Nanos kRetryInterval = kSecond;

std::unique_ptr<Processor> make_processor(const WatchConfig& config, Nanos born,
                                          const Filters& filters, FileTable& files) {
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
  options.born = born;
  return std::make_unique<Completion>(options, filters, files);
}

bool wants_raw(const WatchConfig& config) {
  return std::any_of(config.events.begin(), config.events.end(),
                     [](const std::string& type) { return raw_bit(type) != 0; });
}

}  // namespace

/// One watch with all that is its own.
class Pipeline::Unit final : public EventSource::Sink, public Out {
 public:
  Unit(Pipeline& pipeline, const WatchConfig& config, const Journal::Watch& kept)
      : kept_(kept),
        pipeline_(pipeline),
        config_(config),
        filters_(config.include, config.exclude, config.temporary),
        wanted_(config.events.begin(), config.events.end()),
        raw_wanted_(wants_raw(config)) {
    make_processor_of_config();
  }

  /// The file table stays, and what the source knows. What is being waited for is met again by the
  /// rescan.
  void change(const WatchConfig& config) {
    config_ = config;
    filters_ = Filters(config.include, config.exclude, config.temporary);
    wanted_ = {config.events.begin(), config.events.end()};
    raw_wanted_ = wants_raw(config);
    processor_.reset();
    make_processor_of_config();
    watcher_->set_options(watcher_options());
  }

  Watcher::Options watcher_options() {
    Watcher::Options options;
    options.root = config_.path;
    options.recursive = config_.recursive;
    options.mask = mask();
    options.raw = raw_wanted_;
    options.poll_interval = config_.poll_interval;
    options.known = kept_.known;
    options.enters = [this](std::string_view path) { return filters_.enters(path); };
    return options;
  }

  void use_inotify(Notifier* notifier) {
    auto watcher = std::make_unique<Watcher>(watcher_options(), pipeline_.fs_, notifier,
                                             pipeline_.renames_, *this);
    watcher_ = watcher.get();
    source_ = std::move(watcher);
  }

  void use_poller(RemoteWatch::Asks asks) {
    auto remote = std::make_unique<RemoteWatch>(std::move(asks), *this);
    remote_ = remote.get();
    source_ = std::move(remote);
  }

  EventSource& source() { return *source_; }
  Watcher& watcher() { return *watcher_; }    ///< of a watch with inotify
  RemoteWatch& remote() { return *remote_; }  ///< of a watch with a poller
  const Filters& filters() const { return filters_; }
  Journal::Tables tables() { return {kept_.id, name(), &files_, &source_->directories()}; }
  const std::string& name() const { return config_.name; }
  const std::string& root() const { return config_.path; }

  std::uint32_t mask() const {
    std::uint32_t mask = processor_->mask();
    for (const std::string& type : config_.events) mask |= raw_bit(type) & IN_ALL_EVENTS;
    return mask;
  }

  WatchStatus status() const {
    WatchStatus status;
    status.name = config_.name;
    status.path = config_.path;
    status.processor = config_.processor;
    status.ready = source_->is_ready();
    status.lost = source_->is_lost();
    for (const std::string& told : source_->told_degraded()) {
      const std::string reason = told.substr(0, told.find('\n'));
      if (status.degraded.empty() || status.degraded.back() != reason) {
        status.degraded.push_back(reason);
      }
    }
    status.directories = source_->directories().count();
    status.files = files_.size();
    status.in_progress = processor_->in_progress();
    return status;
  }

  void begin_turn(const Now& now, std::uint32_t turn) {
    now_ = now;
    announced_ = false;
    source_->begin_turn(now, turn);
    if (!std::exchange(started_, true)) source_->start(now);
  }

  void on_time() {
    source_->on_time();
    const auto due = processor_->deadline();
    if (due && *due <= now_.mono) processor_->on_time(now_, *source_, *this);
    tell_scanned();
  }

  void end_turn() { source_->end_turn(announced_); }

  std::optional<Nanos> deadline() const {
    auto first = source_->deadline();
    const auto due = processor_->deadline();
    if (due && (!first || *due < *first)) first = due;
    return first;
  }

  // Watcher::Sink
  void on_raw(const RawEvent& event) override {
    if (event.kind == RawEvent::Kind::kFound) ++tally(event.origin).found;
    processor_->on(event, now_, *source_, *this);
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
      emit(std::move(report));
    }
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
      if (type == "ready") warn_of_many(data);
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
    emit(std::move(report));
  }

  void on_scanned(Origin origin, std::string_view reason, Nanos duration) override {
    if (origin == Origin::kPoll) return;
    scanned_ = Scanned{origin, std::string(reason), duration};
  }

  // Out
  bool wants(std::string_view type) const override { return wanted_.contains(type); }

  void emit(Report report) override {
    if (report.file && report.type != "file.stalled") {
      announced_ = true;
      Tally& count = tally(report.file->origin);
      ++(report.type == "file.removed" ? count.removed : count.announced);
    }
    if (wants(report.type)) pipeline_.reports_.push_back({name(), root(), std::move(report)});
  }

 private:
  /// The first start on a large tree may be a surprise to whoever receives all that.
  void warn_of_many(const Value::Map& data) {
    if (kept_.known || config_.existing != WatchConfig::Existing::kAnnounce) return;
    for (const auto& [key, value] : data) {
      if (key != "files" || value.integer() == nullptr || *value.integer() <= kManyFiles) continue;
      log::warning(
          "watch {}: {} files are there already and will be announced; existing = \"ignore\" would "
          "not",
          name(), *value.integer());
    }
  }

  void make_processor_of_config() {
    for (const auto& factory : pipeline_.factories_) {
      if (!processor_) processor_ = factory(config_);
    }
    if (!processor_) processor_ = make_processor(config_, kept_.born, filters_, files_);
    if (!processor_) throw UsageError("unknown processor: " + config_.processor);
  }

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
    pipeline_.scan_ended_ = true;
    emit(std::move(report));
  }

  Journal::Watch kept_;
  Pipeline& pipeline_;
  WatchConfig config_;
  Filters filters_;
  std::set<std::string, std::less<>> wanted_;
  bool raw_wanted_;
  FileTable files_;
  std::unique_ptr<Processor> processor_;
  std::unique_ptr<EventSource> source_;
  Watcher* watcher_ = nullptr;     ///< source_, if it is one
  RemoteWatch* remote_ = nullptr;  ///< source_, if it is one
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

Pipeline::Unit& Pipeline::add_unit(const WatchConfig& config) {
  const Journal::Watch kept =
      journal_.open_watch(config.name, config.previous_name, config.path, fs_.wall_clock());
  units_.push_back(std::make_unique<Unit>(*this, config, kept));
  return *units_.back();
}

std::size_t Pipeline::add_watch(const WatchConfig& config, Notifier* notifier,
                                std::string_view reason, std::string_view detail) {
  Unit& unit = add_unit(config);
  unit.use_inotify(notifier);
  journal_.load(unit.tables());
  list_live();
  if (!reason.empty()) unit.source().degraded(reason, {}, detail);
  return units_.size() - 1;
}

std::size_t Pipeline::add_remote_watch(const WatchConfig& config, RemoteWatch::Asks asks,
                                       std::string_view detail) {
  Unit& unit = add_unit(config);
  unit.use_poller(std::move(asks));
  journal_.load(unit.tables());
  list_live();
  unit.source().degraded("polled", {}, detail);
  return units_.size() - 1;
}

std::function<bool(std::string_view)> Pipeline::enters(std::size_t watch) const {
  return
      [filters = units_[watch]->filters()](std::string_view path) { return filters.enters(path); };
}

void Pipeline::rescan_all() { rescan_asked_ = true; }

void Pipeline::list_live() {
  live_.clear();
  tables_.clear();
  for (const auto& unit : units_) {
    if (!unit) continue;
    live_.push_back(unit.get());
    tables_.push_back(unit->tables());
  }
}

void Pipeline::change_watch(std::size_t watch, const WatchConfig& config) {
  units_[watch]->change(config);
  list_live();
}

void Pipeline::remove_watch(std::size_t watch) {
  persist(true);
  journal_.close_watch(units_[watch]->tables().watch, fs_.wall_clock());
  units_[watch].reset();
  list_live();
}

std::vector<Pipeline::WatchStatus> Pipeline::status() const {
  std::vector<WatchStatus> all;
  for (const Unit* unit : live_) all.push_back(unit->status());
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
  for (Unit* unit : live_) unit->begin_turn(now, turn_);
  for (const Input& input : inputs) {
    if (units_[input.watch]) units_[input.watch]->watcher().on_bytes(input.bytes, input.position);
  }
  for (const PollResult& seen : results) {
    if (units_[seen.watch]) units_[seen.watch]->remote().on_poll_result(seen);
  }
  renames_.on_time(now.mono);
  if (std::exchange(rescan_asked_, false)) {
    for (Unit* unit : live_) unit->source().rescan("signal", Origin::kRescan);
  }
  bool more = false;
  const bool crowded = journal_.is_crowded(now);
  if (crowded != std::exchange(scans_held_, crowded)) {
    if (crowded) {
      log::warning("scans wait: the journal is full of events that a consumer has not had yet");
    } else {
      log::info("scans go on");
    }
  }
  for (Unit* unit : live_) {
    unit->source().hold_scans(crowded);
    if (unit->source().slice(kUnitsPerTurn)) more = true;
    unit->on_time();
  }
  if (std::exchange(scan_ended_, false)) journal_.release_memory();
  persist(!more);
  for (Unit* unit : live_) unit->end_turn();
  return journal_.tidy(now) || more;
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
  for (const Unit* unit : live_) {
    const auto due = unit->deadline();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

}  // namespace inotifier
