#include "fs/prober.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

using std::chrono::nanoseconds;

// Half a turn: a disk that has to seek answers within it, so a turn does without a second one.
constexpr Nanos kPatience = 5 * kMillisecond;
// A question that takes longer holds up the rest of its batch no more.
constexpr Nanos kHeldUp = 10 * kMillisecond;
// A thread costs some 20 kB and a file that is held takes one: sixteen files that hang leave the
// rest of their volume waiting, four such volumes leave one thread to each of the others.
constexpr std::size_t kMostOfVolume = 16;
constexpr std::size_t kMost = 64;
// Making a thread costs about as much as ten questions: one that was needed a moment ago may be
// needed again.
constexpr Nanos kStandsBy = 10 * kSecond;
// At the end, for threads that do not hang.
constexpr Nanos kFarewell = 100 * kMillisecond;

}  // namespace

Prober::Batch::Batch(std::string volume, std::size_t count)
    : volume_(std::move(volume)), count_(count), items_(std::make_unique<Item[]>(count)) {}

Prober::Batch::~Batch() = default;

bool Prober::Batch::has_answer(std::size_t item) const {
  return items_[item].answered.load(std::memory_order_acquire);
}

Nanos Prober::Batch::asked_since(std::size_t item) const { return items_[item].since.load(); }

/// There are items that nobody has begun, and those who could are at others for long.
bool Prober::Batch::is_held_up() const {
  const Nanos last = last_begun_.load();
  return !all_begun() && last != 0 && read_clocks().mono - last >= kHeldUp;
}

/// True if it has answered anything.
bool Prober::Batch::work() {
  bool any = false;
  for (std::size_t item = next_++; item < count_; item = next_++) {
    const Nanos now = read_clocks().mono;
    items_[item].since.store(now);
    last_begun_.store(now);
    ask(item);
    items_[item].answered.store(true, std::memory_order_release);
    ++answered_;
    any = true;
  }
  return any;
}

/// What the prober and its threads all hold: it may be gone before a thread that hangs is.
struct Prober::Shared {
  struct Volume {
    std::size_t threads = 0;
    std::size_t unanswered = 0;  ///< batches that nobody waits for any more
  };

  std::mutex mutex;
  std::condition_variable filled;    ///< for threads that stand by
  std::condition_variable answered;  ///< for start(), and at the end
  std::deque<std::shared_ptr<Batch>> queue;
  std::vector<std::shared_ptr<Batch>> left;  ///< not waited for; what is not begun may be held up
  std::map<std::string, Volume> volumes;
  std::size_t threads = 0;
  std::size_t standing_by = 0;
  bool closed = false;
  UniqueFd wake{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

  bool has_room(const Batch& batch) { return volumes[batch.volume_].threads < kMostOfVolume; }
  std::shared_ptr<Batch> next();
  bool may_be_held_up();
  void on_worked(Batch& batch, bool any);
};

/// What a thread can do now, if anything.
std::shared_ptr<Prober::Batch> Prober::Shared::next() {
  for (auto at = queue.begin(); at != queue.end(); ++at) {
    if (!has_room(**at)) continue;
    std::shared_ptr<Batch> batch = std::move(*at);
    queue.erase(at);
    return batch;
  }
  std::erase_if(left, [](const auto& batch) { return batch->all_begun(); });
  for (const auto& batch : left) {
    if (has_room(*batch) && batch->is_held_up()) return batch;
  }
  return nullptr;
}

bool Prober::Shared::may_be_held_up() {
  return std::any_of(left.begin(), left.end(),
                     [this](const auto& batch) { return !batch->all_begun() && has_room(*batch); });
}

void Prober::Shared::on_worked(Batch& batch, bool any) {
  Volume& volume = volumes[batch.volume_];
  --volume.threads;
  if (batch.left_ && any) eventfd_write(wake.get(), 1);
  if (!batch.finished()) return;
  if (std::exchange(batch.counted_, false)) --volume.unanswered;
  answered.notify_all();
}

Prober::Prober() : shared_(std::make_shared<Shared>()) {
  if (!shared_->wake) {
    throw SetupError(describe("eventfd", "", errno) + ": raise the limit of open files");
  }
}

Prober::~Prober() {
  std::unique_lock lock(shared_->mutex);
  shared_->closed = true;
  shared_->filled.notify_all();
  shared_->answered.wait_for(lock, nanoseconds(kFarewell),
                             [this] { return shared_->threads == 0; });
}

int Prober::fd() const { return shared_->wake.get(); }

void Prober::acknowledge() {
  eventfd_t value;
  eventfd_read(shared_->wake.get(), &value);
}

void Prober::start(const std::shared_ptr<Batch>& batch) {
  std::unique_lock lock(shared_->mutex);
  Shared::Volume& volume = shared_->volumes[batch->volume_];
  shared_->queue.push_back(batch);
  const bool needed = shared_->queue.size() > shared_->standing_by;
  if (needed && (shared_->threads < kMost || volume.threads == 0)) add_thread(shared_);
  shared_->filled.notify_one();
  const auto answered = [&batch] { return batch->finished(); };
  if (volume.unanswered == 0) {
    shared_->answered.wait_for(lock, nanoseconds(kPatience), answered);
  }
  if (answered()) return;
  batch->left_ = batch->counted_ = true;
  ++volume.unanswered;
  if (batch->all_begun()) return;
  shared_->left.push_back(batch);
  watch_over(shared_);
}

/// Somebody stands by who goes on where another hangs.
void Prober::watch_over(const std::shared_ptr<Shared>& shared) {
  if (shared->standing_by == 0 && shared->threads < kMost) add_thread(shared);
  shared->filled.notify_one();
}

/// Without a thread, for want of memory, questions wait for those that there are.
void Prober::add_thread(const std::shared_ptr<Shared>& shared) {
  try {
    std::thread([shared] { run(shared); }).detach();
    ++shared->threads;
  } catch (const std::system_error&) {
    if (shared->threads > 0) return;
    throw;
  }
}

void Prober::run(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (!shared->closed) {
    const std::shared_ptr<Batch> batch = shared->next();
    if (!batch) {
      const bool watches = shared->may_be_held_up();
      ++shared->standing_by;
      const auto woken = shared->filled.wait_for(lock, nanoseconds(watches ? kHeldUp : kStandsBy));
      --shared->standing_by;
      const bool idle = woken == std::cv_status::timeout && !watches;
      if (idle && shared->standing_by > 0) break;
      continue;
    }
    ++shared->volumes[batch->volume_].threads;
    if (shared->may_be_held_up()) watch_over(shared);
    lock.unlock();
    const bool any = batch->work();
    lock.lock();
    shared->on_worked(*batch, any);
  }
  --shared->threads;
  shared->answered.notify_all();
}

}  // namespace inotifier
