#include "source/poller.hpp"

#include <atomic>
#include <chrono>
#include <utility>

#include "base/clock.hpp"
#include "fs/real_fs.hpp"
#include "source/poll_round.hpp"

namespace inotifier {
namespace {

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
  PollRound::Options options;
  Nanos interval = 0;
  PollBox* box = nullptr;  ///< not touched once `stopped`
  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;
  bool hurried = false;
  bool ended = true;  ///< no thread
  std::vector<std::string> asked;
  std::atomic<Nanos> asked_since = 0;  ///< see Poller::asked_since()

  bool put(PollResult result);
  std::vector<std::string> take_asked();
};

/// False: stop. The owner may have left meanwhile, and the box with it.
bool Poller::Shared::put(PollResult result) {
  {
    const std::lock_guard lock(mutex);
    if (stopped) return false;
  }
  asked_since = 0;  // the box may be full
  return box->put(std::move(result));
}

std::vector<std::string> Poller::Shared::take_asked() {
  const std::lock_guard lock(mutex);
  return std::exchange(asked, {});
}

Poller::Poller(PollBox& box) : shared_(std::make_shared<Shared>()) { shared_->box = &box; }

void Poller::start(PollRound::Options options, Nanos interval) {
  shared_->options = std::move(options);
  shared_->interval = interval;
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
  PollRound round(shared->options, fs,
                  {[&] { shared->asked_since = read_clocks().mono; },
                   [&](PollResult result) { return shared->put(std::move(result)); },
                   [&] { return shared->take_asked(); }});
  const auto pause = std::chrono::nanoseconds(shared->interval);
  while (true) {
    round.run();
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

}  // namespace inotifier
