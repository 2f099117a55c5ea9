// One inotify instance over FakeFs: real bytes of struct inotify_event, in the kernel's order and
// with its quirks (inotify(7)): equal neighbours merge, a full queue gets one IN_Q_OVERFLOW, a
// removed watch one IN_IGNORED, descriptors are never used twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/fs.hpp"

namespace inotifier::testing {

class FakeFs;
struct FakeInode;

class FakeNotifier final : public Notifier {
 public:
  /// `fs` must live longer. `flags` are added to every mask, as the daemon's source does.
  /// Its stream of records begins at `position`.
  explicit FakeNotifier(FakeFs& fs, std::uint32_t flags = 0, std::uint64_t position = 0);
  ~FakeNotifier() override;
  FakeNotifier(const FakeNotifier&) = delete;
  FakeNotifier& operator=(const FakeNotifier&) = delete;

  int add_watch(int handle, std::uint32_t mask) override;
  void remove_watch(int wd) override;
  std::uint64_t queued_bytes() const override { return total_; }

  /// Takes at most so many records out of the queue, as read(2) would give them.
  std::vector<std::byte> read(std::size_t most = SIZE_MAX);
  bool is_empty() const { return queue_.empty(); }
  /// How many bytes were read so far: the position of what comes next.
  std::uint64_t position() const { return read_; }
  std::size_t watches() const { return marks_.size(); }
  /// Records that the queue holds at most, the one about its overflow not counted.
  void limit(std::size_t records) { limit_ = records; }
  std::size_t length() const { return queue_.size(); }

  /// A record of this instance; `mask` as in inotify(7).
  void queue(int wd, std::uint32_t mask, std::uint32_t cookie, const std::string& name);
  /// The inode is gone, and the mark with it.
  void forget(int wd);

 private:
  struct Queued {
    int wd;
    std::uint32_t mask;
    std::uint32_t cookie;
    std::string name;
  };
  static std::size_t size_of(const Queued& record);

  FakeFs& fs_;
  std::uint32_t flags_;
  std::deque<Queued> queue_;
  std::map<int, std::weak_ptr<FakeInode>> marks_;
  int last_wd_ = 0;
  std::size_t limit_ = 16384;  // /proc/sys/fs/inotify/max_queued_events
  bool overflow_queued_ = false;
  std::uint64_t total_;
  std::uint64_t read_;
};

}  // namespace inotifier::testing
