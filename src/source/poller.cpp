#include "source/poller.hpp"

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "fs/real_fs.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kFilesPerParcel = 1000;
constexpr std::size_t kParcels = 32;

}  // namespace

bool PollBox::put(PollResult result) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [this] { return closed_ || items_.size() < kParcels; });
  if (closed_) return false;
  if (items_.empty()) filled_.raise();
  items_.push_back(std::move(result));
  return true;
}

void PollBox::take(std::vector<PollResult>& out) {
  out.clear();
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return;
  // One parcel a turn is about 1,000 files: no turn gets long.
  out.push_back(std::move(items_.front()));
  items_.pop_front();
  room_.notify_all();
  if (items_.empty()) filled_.clear();
}

void PollBox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
}

/// What thread and owner both hold: the owner may be gone before a hanging thread is.
struct Poller::Shared {
  Options options;
  PollBox* box = nullptr;  ///< not touched once `stopped`
  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;
  bool hurried = false;
  bool ended = true;  ///< no thread
  std::vector<std::string> asked;
  std::atomic<Nanos> asked_since = 0;  ///< see Poller::asked_since()

  /// Before a call that a dead server leaves unanswered.
  void asking() { asked_since = read_clocks().mono; }
};

Poller::Poller(PollBox& box) : shared_(std::make_shared<Shared>()) { shared_->box = &box; }

void Poller::start(Options options) {
  shared_->options = std::move(options);
  shared_->ended = false;
  std::thread([shared = shared_] { run(shared); }).detach();
}

std::size_t Poller::watch() const { return shared_->options.watch; }

DirId Poller::part() const { return shared_->options.part; }

Poller::~Poller() {
  std::unique_lock lock(shared_->mutex);
  shared_->stopped = true;
  shared_->wake.notify_all();
  // The thread is given a moment to leave the box alone; where it hangs in the kernel it will see
  // `stopped` before it touches anything.
  shared_->wake.wait_for(lock, std::chrono::milliseconds(200), [this] { return shared_->ended; });
}

void Poller::ask(std::vector<std::string> paths) {
  const std::lock_guard lock(shared_->mutex);
  for (std::string& path : paths) shared_->asked.push_back(std::move(path));
}

void Poller::hurry() {
  const std::lock_guard lock(shared_->mutex);
  shared_->hurried = true;
  shared_->wake.notify_all();
}

Nanos Poller::asked_since() const { return shared_->asked_since; }

void Poller::run(const std::shared_ptr<Shared>& shared) {
  RealFs fs(RealFs::Reach::kRemote);
  const auto pause = std::chrono::nanoseconds(shared->options.interval);
  while (true) {
    round(*shared, fs);
    shared->asked_since = 0;
    std::unique_lock lock(shared->mutex);
    shared->wake.wait_for(lock, pause, [&] { return shared->stopped || shared->hurried; });
    shared->hurried = false;
    if (!shared->stopped) continue;
    shared->ended = true;
    shared->wake.notify_all();
    return;
  }
}

void Poller::round(Shared& shared, Fs& fs) {
  const Options& options = shared.options;
  PollResult parcel;
  parcel.watch = options.watch;
  parcel.part = options.part;
  Stat at_root;
  const auto stopped = [&] {
    const std::lock_guard lock(shared.mutex);
    return shared.stopped;
  };
  const auto send = [&] {
    if (stopped()) return false;
    PollResult full = std::exchange(parcel, PollResult{});
    parcel.watch = options.watch;
    parcel.part = options.part;
    full.root = at_root;
    shared.asked_since = 0;  // the box may be full
    const bool goes_on = shared.box->put(std::move(full));
    shared.asking();
    return goes_on;
  };

  shared.asking();
  const int root = fs.open_root(options.root);
  if (root < 0) {
    parcel.root_error = -root;
    parcel.end_of_round = true;
    send();
    return;
  }
  const UniqueFd holder(root);
  fs.stat(root, "", at_root);
  if (fs.traits(root).local) {
    parcel.unmounted = true;
    parcel.end_of_round = true;
    send();
    return;
  }
  std::vector<std::string> asked;
  {
    const std::lock_guard lock(shared.mutex);
    asked.swap(shared.asked);
  }
  for (std::string& path : asked) {
    Stat stat;
    shared.asking();
    const int error = fs.stat(root, path, stat);
    if (is_absence(-error)) parcel.gone.push_back(std::move(path));
  }
  bool whole = true;
  std::int64_t directories = 0;
  std::vector<std::pair<std::string, int>> unreadable;
  std::vector<std::string> stack{""};
  while (!stack.empty()) {
    const std::string directory = std::move(stack.back());
    stack.pop_back();
    int error = 0;
    shared.asking();
    const UniqueFd handle(fs.open_directory(root, directory));
    std::unique_ptr<Listing> listing;
    if (handle.get() < 0) {
      error = -handle.get();
    } else {
      listing = fs.list(handle.get(), error);
    }
    if (!listing) {
      whole = false;
      if (!is_absence(error)) unreadable.emplace_back(directory, error);
      continue;
    }
    ++directories;
    Entry entry;
    int more = 0;
    while ((more = listing->next(entry)) > 0) {
      PolledFile seen{join(directory, entry.name), {}};
      // Many network file systems do not tell the kind; the stat is needed for files anyway.
      if (entry.kind == Entry::Kind::kOther) continue;
      shared.asking();
      if (fs.stat(handle.get(), std::string(entry.name), seen.stat) != 0) continue;
      if (S_ISDIR(seen.stat.mode) && options.recursive && options.enters(seen.path)) {
        stack.push_back(std::move(seen.path));
      } else if (S_ISREG(seen.stat.mode)) {
        parcel.files.push_back(std::move(seen));
        if (parcel.files.size() >= kFilesPerParcel && !send()) return;
      }
    }
    if (more < 0) whole = false;
  }
  parcel.end_of_round = true;
  parcel.whole = whole;
  parcel.directories = directories;
  parcel.unreadable = std::move(unreadable);
  send();
}

}  // namespace inotifier
