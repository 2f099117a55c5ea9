#include "daemon/active_watch.hpp"

#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/path.hpp"
#include "process/registry.hpp"

namespace inotifier {
namespace {

constexpr std::int64_t kManyFiles = 10'000;

}  // namespace

ActiveWatch::ActiveWatch(Shared shared, const WatchConfig& config, const Journal::Watch& kept)
    : shared_(shared),
      kept_(kept),
      config_(config),
      filters_(config.include, config.exclude, config.temporary),
      wanted_(config.events.begin(), config.events.end()),
      raw_(config.events),
      is_starting_(shared.turn == 0) {
  make_processor();
}

void ActiveWatch::make_processor() {
  processor_.reset();
  for (const auto& factory : shared_.factories) {
    if (!processor_) processor_ = factory(config_);
  }
  if (!processor_) {
    processor_ = inotifier::make_processor({config_, filters_, files_});
  }
  if (!processor_) throw UsageError("unknown processor: " + config_.processor);
}

WatchOptions ActiveWatch::watcher_options() {
  WatchOptions options;
  options.root = config_.path;
  options.recursive = config_.recursive;
  options.mask = processor_->mask() | raw_.mask();
  options.raw = raw_.any();
  options.poll_interval = config_.poll_interval;
  options.require_lease = config_.require_lease;
  options.known = kept_.known;
  options.enters = [this](std::string_view path) { return filters_.enters(path); };
  if (config_.backend != WatchConfig::Backend::kInotify && shared_.pollers.start) {
    options.start_poller = [this](DirId part, const std::string& path) {
      return shared_.pollers.start(shared_.number, part, path, config_);
    };
    options.stop_poller = [this](DirId part) { shared_.pollers.stop(shared_.number, part); };
  }
  if (shared_.other_instance) {
    options.other_instance = [this](std::uint64_t position, int& error) {
      return shared_.other_instance(shared_.number, position, error);
    };
  }
  return options;
}

void ActiveWatch::use_inotify(SharedInstance* instance) {
  auto watcher =
      std::make_unique<Watcher>(watcher_options(), shared_.fs, instance, shared_.renames, *this);
  watcher_ = watcher.get();
  source_ = std::move(watcher);
}

void ActiveWatch::use_poller(RemoteTree::Asks asks) {
  auto remote = std::make_unique<RemoteWatch>(std::move(asks), *this);
  remote_ = remote.get();
  source_ = std::move(remote);
}

void ActiveWatch::on_poll_result(const PollResult& result) {
  if (remote_ != nullptr) return remote_->on_poll_result(result);
  watcher_->on_poll_result(result);
}

void ActiveWatch::change(const WatchConfig& config) {
  config_ = config;
  filters_ = Filters(config.include, config.exclude, config.temporary);
  wanted_ = {config.events.begin(), config.events.end()};
  raw_ = RawReports(config.events);
  make_processor();
  watcher_->set_options(watcher_options());
}

WatchStatus ActiveWatch::status() const {
  WatchStatus status;
  status.name = config_.name;
  status.path = config_.path;
  status.processor = config_.processor;
  status.ready = source_->is_ready();
  status.lost = source_->is_lost();
  const WatchTable& table = source_->directories();
  if (table.is_alive(kRootDir)) status.root_inode = table.at(kRootDir).inode;
  status.degraded = source_->output().degraded().reasons();
  const std::vector<DirId> asides = table.asides();
  status.directories = table.count() - asides.size();
  status.files = files_.size();
  for (const DirId dir : asides) status.files -= files_.count(dir);
  status.in_progress = processor_->in_progress();
  status.unanswered = source_->unanswered();
  status.volumes = volumes_of(table, files_);
  return status;
}

void ActiveWatch::begin_turn(const Now& now) {
  now_ = now;
  source_->begin_turn(now);
  if (!std::exchange(started_, true)) source_->start(now);
}

void ActiveWatch::set_room(std::size_t events) {
  source_->set_room(events);
  processor_->set_room(events);
}

bool ActiveWatch::on_time() {
  source_->on_time();
  const auto due = processor_->deadline();
  if (due && *due <= now_.mono) processor_->on_time(now_, *source_, *this);
  // What a scan found is looked at before the scan is reported.
  if (!tally_.has_ended() || processor_->undecided() > 0) return false;
  emit(tally_.take(config_.name));
  return true;
}

std::optional<Nanos> ActiveWatch::deadline() const {
  auto first = source_->deadline();
  const auto due = processor_->deadline();
  if (due && (!first || *due < *first)) first = due;
  return first;
}

void ActiveWatch::on_raw(const RawEvent& event) {
  if (event.kind == RawEvent::Kind::kFound) tally_.on_found(event.origin);
  processor_->on(event, now_, *source_, *this);
}

void ActiveWatch::on_status(std::string_view type, Value::Map data) {
  if (type == "lost" || type == "degraded") {
    std::string text;
    for (const auto& [key, value] : data) {
      if (value.text() != nullptr) text += " " + *value.text();
    }
    log::warning("watch {} ({}): {}:{}", config_.name, config_.path, type, text);
  } else {
    log::info("watch {} ({}): {}", config_.name, config_.path, type);
    if (type == "ready") warn_of_many(data);
  }
  if (type != "degraded") is_starting_ = false;
  Report report;
  report.type = "watch." + std::string(type);
  report.data = std::move(data);
  emit(std::move(report));
}

void ActiveWatch::on_degraded(const Degraded& what) {
  Value::Map data;
  data.emplace_back("reason", name_of(what.reason));
  if (!what.path.empty()) data.emplace_back("directory", to_utf8(what.path));
  data.emplace_back("detail", to_utf8(what.detail));
  on_status("degraded", std::move(data));
  // One file that cannot be judged, another volume later on, or a reload does not end the other
  // watches.
  if (config_.require_lease && what.by_type && is_starting_) {
    throw SetupError("watch " + config_.name + " (" + config_.path +
                     "): leases do not work here and require_lease = true");
  }
}

void ActiveWatch::emit(Report report) {
  tally_.on_report(report);
  if (!wants(report.type)) return;
  shared_.reports.push_back({config_.name, config_.path, std::move(report)});
}

/// The first start on a large tree may be a surprise to whoever receives all that.
void ActiveWatch::warn_of_many(const Value::Map& data) const {
  if (kept_.known || config_.existing != WatchConfig::Existing::kAnnounce) return;
  for (const auto& [key, value] : data) {
    if (key != "files" || value.integer() == nullptr || *value.integer() <= kManyFiles) continue;
    log::warning(
        "watch {}: {} files are there already and will be announced; existing = \"ignore\" would "
        "not",
        config_.name, *value.integer());
  }
}

}  // namespace inotifier
