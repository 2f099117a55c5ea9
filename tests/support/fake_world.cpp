#include "support/fake_world.hpp"

#include <sys/inotify.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "inotifier/wire.hpp"

namespace inotifier::testing {
namespace {

// 2023-11-14, and no whole second: times of whole seconds mean that a file system keeps no finer
// ones.
constexpr Nanos kWallStart = 1'700'000'000'123'456'789;
constexpr Nanos kMonoStart = 1'000'000'000'000;
// What two commands are apart, so that a fine clock tells them apart.
constexpr Nanos kBetweenCommands = 1'000;
// After a script's last line: longer than any wait that a processor has by itself.
constexpr Nanos kAftermath = 15'000'000'000;
// The watch that shares the others' instance.
constexpr const char* kCompanion = "companion";
constexpr int kMostTurns = 100'000;
// More than what a script's files may need when they come, and when they are waited for.
constexpr std::size_t kTurnsOfACommand = 20'000;
constexpr Nanos kTurnEvery = 20'000'000;

bool has(const std::map<std::string, std::string>& options, const std::string& key,
         const std::string& value) {
  const auto found = options.find(key);
  return found != options.end() && found->second == value;
}

}  // namespace

FakeOptions FakeWorld::fs_options(const Settings& settings,
                                  const std::map<std::string, std::string>& options) {
  FakeOptions result;
  result.traits.fine_times = settings.fine_times;
  for (const auto& [key, value] : options) {
    if (key == "leases") result.traits.leases = value != "off";
    if (key == "local") result.traits.local = value != "off";
    if (key == "keeps_inodes") result.traits.keeps_inodes = value != "off";
    if (key == "close_window") result.close_window = parse_duration(value);
    if (key == "create_window") result.create_window = parse_duration(value);
    if (key == "probes_fail") result.changing_probes = static_cast<int>(parse_number(value));
    if (key == "granularity") result.granularity = parse_duration(value);
    if (key == "births") result.births = value != "off";
    if (key == "name_max") result.name_max = static_cast<std::size_t>(parse_number(value));
    if (key == "watches") result.max_watches = static_cast<std::size_t>(parse_number(value));
  }
  return result;
}

std::vector<FakeWorld::Settings> FakeWorld::variants(
    const std::map<std::string, std::string>& options) {
  std::vector<Settings> result;
  const std::pair<Step, const char*> kSteps[] = {
      {Step::kPrompt, "prompt"}, {Step::kLate, "late"}, {Step::kSingle, "single"}};
  for (const auto& [step, name] : kSteps) {
    if (options.contains("step") && !has(options, "step", name)) continue;
    for (const bool fine : {true, false}) {
      if (options.contains("clock") && has(options, "clock", "coarse") == fine) continue;
      result.push_back({step, fine, has(options, "instance", "shared")});
    }
  }
  if (!options.contains("instance")) {
    for (Settings shared : {result.front(), result.back()}) {
      shared.shared = true;
      result.push_back(shared);
    }
  }
  return result;
}

FakeWorld::FakeWorld(const Settings& settings, const std::map<std::string, std::string>& options)
    : settings_(settings), fs_(fs_options(settings, options)) {
  set_time(kMonoStart);
  fs_.make_directory(root_);
  fs_.make_directory("/out");
  fs_.make_directory("/companion");
  if (const auto given = options.find("companion"); given != options.end()) {
    companion_ = given->second;
  }
}

std::string FakeWorld::label() const {
  const char* step = settings_.step == Step::kPrompt ? "prompt"
                     : settings_.step == Step::kLate ? "late"
                                                     : "single";
  return std::string("fake, step=") + step +
         ", clock=" + (settings_.fine_times ? "multigrain" : "coarse") +
         (settings_.shared ? ", one instance" : "");
}

void FakeWorld::set_time(Nanos mono) {
  now_ = {mono, kWallStart + wall_offset_ + (mono - kMonoStart)};
  fs_.set_time(now_);
}

void FakeWorld::step_clock(Nanos by) {
  fs_.end_creation();
  wall_offset_ += by;
  set_time(now_.mono);
}

void FakeWorld::fill_journal(bool full) {
  sqlite::Database& database = *journal_->database();
  const std::int64_t pages = full ? database.number("PRAGMA page_count") : INT32_MAX;
  database.run(("PRAGMA max_page_count=" + std::to_string(pages)).c_str());
}

void FakeWorld::limit_files(bool on) {
  // Without this the first write beyond it ends the process, see setrlimit(2).
  std::signal(SIGXFSZ, SIG_IGN);
  constexpr rlim_t kPage = 4096;
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = on ? kPage : limit.rlim_max;
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

void FakeWorld::start(const std::vector<WatchConfig>& watches) {
  JournalOptions options;
  options.daemon_name = "test";
  if (kept_) options.path = kept_->path();
  journal_ = std::make_unique<Journal>(options, now_);
  pipeline_ = std::make_unique<Pipeline>(
      fs_, *journal_,
      [this](std::string_view, std::string_view body) { events_.push_back(decode(body)); });
  pipeline_->set_other_instance([this](std::size_t watch, std::uint64_t position, int&) {
    return add_instance(watch, position);
  });
  std::vector<WatchConfig> all = watches;
  if (settings_.shared) {
    all.emplace_back();
    all.back().name = kCompanion;
    all.back().path = companion_;
  }
  SharedInstance* instance = nullptr;
  instance_of_.assign(all.size(), SIZE_MAX);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool polled = all[i].backend == WatchConfig::Backend::kPoll;
    if (!polled && (instance == nullptr || !settings_.shared)) instance = add_instance(i, 0);
    if (!polled) instance_of_[i] = notifiers_.size() - 1;
    pipeline_->add_watch(all[i], polled ? nullptr : instance);
  }
  running_ = true;
  if (started_ == 0) started_ = now_.mono;
  pump();
}

SharedInstance* FakeWorld::add_instance(std::size_t watch, std::uint64_t position) {
  instance_of_[watch] = notifiers_.size();
  notifiers_.push_back(std::make_unique<FakeNotifier>(fs_, IN_ONLYDIR | IN_EXCL_UNLINK, position));
  overflowing_.push_back(false);
  return &pipeline_->add_instance(instance_of_[watch], *notifiers_.back());
}

void FakeWorld::save() {
  limit_files(false);
  kept_->save();
}

void FakeWorld::kill() {
  limit_files(false);
  running_ = held_ = false;
  pipeline_.reset();
  notifiers_.clear();
  overflowing_.clear();
  journal_.reset();
}

bool FakeWorld::is_pending() const {
  if (pipeline_->blocked()) return false;
  for (std::size_t i = 0; i < notifiers_.size(); ++i) {
    if (!overflowing_[i] && !notifiers_[i]->is_empty()) return true;
  }
  return false;
}

bool FakeWorld::turn() {
  std::vector<std::vector<std::byte>> buffers;
  std::vector<Input> inputs;
  for (std::size_t i = 0; i < notifiers_.size() && !pipeline_->blocked(); ++i) {
    if (overflowing_[i] || notifiers_[i]->is_empty()) continue;
    const std::uint64_t position = notifiers_[i]->position();
    buffers.push_back(notifiers_[i]->read(settings_.step == Step::kSingle ? 1 : SIZE_MAX));
    inputs.push_back({i, position, buffers.back()});
  }
  ++turns_taken_;
  return pipeline_->step(now_, inputs);
}

void FakeWorld::turns(std::int64_t count) {
  for (; count > 0; --count) turn();
}

void FakeWorld::feed(std::span<const std::byte> bytes) {
  const Input input{0, notifiers_.front()->position(), bytes};
  pipeline_->step(now_, {&input, 1});
  pump();
}

/// Until nothing more happens without time passing.
void FakeWorld::pump() {
  if (!running_ || held_) return;
  for (int count = 0; count < kMostTurns; ++count) {
    const bool more = turn();
    const auto due = pipeline_->deadline();
    if (!more && !is_pending() && !(due && *due <= now_.mono)) return;
  }
  throw std::runtime_error("the pipeline does not come to rest");
}

void FakeWorld::run_until(Nanos mono) {
  pump();
  const std::size_t most =
      turns_taken_ + kTurnsOfACommand + static_cast<std::size_t>((mono - now_.mono) / kTurnEvery);
  while (running_ && !held_) {
    const auto due = pipeline_->deadline();
    if (!due || *due > mono) break;
    if (turns_taken_ > most) throw std::runtime_error("the pipeline is awake all the time");
    set_time(std::max(*due, now_.mono));
    pump();
  }
  if (mono > now_.mono) set_time(mono);
  pump();
}

void FakeWorld::at(Nanos time) { run_until(started_ + time); }

void FakeWorld::wait(Nanos time) { run_until(now_.mono + time); }

void FakeWorld::after_command() {
  // Records first: a look that is due at the same time comes after them.
  if (settings_.step == Step::kPrompt) pump();
  set_time(now_.mono + kBetweenCommands);
}

void FakeWorld::await(const std::function<bool()>& /*enough*/) { pump(); }

void FakeWorld::finish() {
  hold(false);
  run_until(now_.mono + kAftermath);
}

void FakeWorld::take(std::vector<Event>& events) {
  for (Event& event : std::exchange(events_, {})) {
    if (!is_of_sharing(event, kCompanion)) events.push_back(std::move(event));
  }
}

void FakeWorld::rescan() {
  pipeline_->rescan_all();
  pump();
}

void FakeWorld::overflow(std::size_t watch, bool begin) {
  FakeNotifier& notifier = this->notifier(watch);
  overflowing_[instance_of_[watch]] = begin;
  constexpr std::size_t kKernelLimit = 16384;
  notifier.limit(begin ? notifier.length() : kKernelLimit);
  if (begin) {
    // At least one record must be lost for the queue to say so.
    notifier.queue(1, 0, 0, "lost");
  } else {
    pump();
  }
}

void FakeWorld::hold(bool on) {
  held_ = on;
  pump();
}

}  // namespace inotifier::testing
