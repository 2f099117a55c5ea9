#include "fs/prober.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace inotifier {
namespace {

/// Items that hang until they are released.
class Hangs final : public Prober::Batch {
 public:
  Hangs(std::string volume, std::size_t count, std::set<std::size_t> hanging)
      : Batch(std::move(volume), count), hanging_(std::move(hanging)) {}
  void release() {
    const std::lock_guard lock(mutex_);
    hanging_.clear();
    released_.notify_all();
  }

 protected:
  void ask(std::size_t item) override {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [&] { return !hanging_.contains(item); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  std::set<std::size_t> hanging_;
};

bool becomes(const std::function<bool()>& condition) {
  const Nanos end = read_clocks().mono + 5 * kSecond;
  while (!condition() && read_clocks().mono < end) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return condition();
}

bool is_readable(const Prober& prober) {
  pollfd polled{prober.fd(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

std::size_t answers(const Prober::Batch& batch) {
  std::size_t count = 0;
  for (std::size_t item = 0; item < batch.count(); ++item)
    count += batch.has_answer(item) ? 1U : 0U;
  return count;
}

TEST_CASE("prober: what is answered at once is there when start() returns, and wakes nobody") {
  Prober prober;
  for (int i = 0; i < 100; ++i) {
    const auto batch = std::make_shared<Hangs>("v", 10, std::set<std::size_t>{});
    prober.start(batch);
    CHECK(becomes([&] { return batch->finished(); }));
  }
}

TEST_CASE("prober: an item that hangs delays only itself") {
  Prober prober;
  const auto batch = std::make_shared<Hangs>("v", 20, std::set<std::size_t>{0, 3, 7});
  prober.start(batch);
  CHECK_FALSE(batch->finished());
  CHECK(becomes([&] { return answers(*batch) == 17; }));
  CHECK(batch->asked_since(3) > 0);
  CHECK_FALSE(batch->has_answer(3));
  // Nobody waits for a volume with an open question; what it answers is there a moment later.
  const auto next = std::make_shared<Hangs>("v", 5, std::set<std::size_t>{});
  prober.start(next);
  CHECK(becomes([&] { return next->finished(); }));
  CHECK(becomes([&] { return is_readable(prober); }));
  prober.acknowledge();
  CHECK_FALSE(is_readable(prober));
  batch->release();
  CHECK(becomes([&] { return batch->finished(); }));
  CHECK(becomes([&] { return is_readable(prober); }));
}

TEST_CASE("prober: a volume whose threads all hang leaves the others theirs") {
  Prober prober;
  std::vector<std::shared_ptr<Hangs>> stuck;
  for (int i = 0; i < 30; ++i) {
    stuck.push_back(std::make_shared<Hangs>("stuck", 1, std::set<std::size_t>{0}));
    prober.start(stuck.back());
  }
  const auto begun = [&stuck] {
    std::size_t count = 0;
    for (const auto& batch : stuck) count += batch->asked_since(0) != 0 ? 1U : 0U;
    return count;
  };
  CHECK(becomes([&] { return begun() == 16; }));
  const auto other = std::make_shared<Hangs>("other", 100, std::set<std::size_t>{});
  prober.start(other);
  CHECK(becomes([&] { return other->finished(); }));
  CHECK(begun() == 16);
  for (const auto& batch : stuck) batch->release();
  for (const auto& batch : stuck) CHECK(becomes([&] { return batch->finished(); }));
}

TEST_CASE("prober: a thread that hangs outlives it and harms nobody") {
  const auto batch = std::make_shared<Hangs>("v", 2, std::set<std::size_t>{1});
  {
    Prober prober;
    prober.start(batch);
  }
  CHECK_FALSE(batch->finished());
  batch->release();
  CHECK(becomes([&] { return batch->finished(); }));
}

}  // namespace
}  // namespace inotifier
