#include "support/fake_notifier.hpp"

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "support/fake_fs.hpp"

namespace inotifier::testing {

FakeNotifier::FakeNotifier(FakeFs& fs, std::uint32_t flags, std::uint64_t position)
    : fs_(fs), flags_(flags), total_(position), read_(position) {}

FakeNotifier::~FakeNotifier() {
  for (const auto& [wd, weak] : marks_) {
    if (const auto inode = weak.lock()) {
      std::erase_if(inode->marks, [&](const FakeInode::Mark& mark) { return mark.by == this; });
      --fs_.watches_;
    }
  }
}

int FakeNotifier::add_watch(int handle, std::uint32_t mask) {
  fs_.enter();
  const std::shared_ptr<FakeInode> inode = fs_.inode_of(handle);
  if (inode == nullptr) return -EBADF;
  if (const int error = fs_.fault(*inode, FakeCall::kWatch); error != 0) return error;
  if (inode->unreadable) return -EACCES;
  mask |= flags_;
  for (FakeInode::Mark& mark : inode->marks) {
    if (mark.by != this) continue;
    if ((mask & IN_MASK_CREATE) != 0) return -EEXIST;
    mark.mask = (mask & IN_MASK_ADD) != 0 ? mark.mask | mask : mask;
    return mark.wd;
  }
  if (fs_.watches_ >= fs_.options_.max_watches) return -ENOSPC;
  ++fs_.watches_;
  const int wd = ++last_wd_;
  inode->marks.push_back({this, wd, mask});
  marks_[wd] = inode;
  return wd;
}

void FakeNotifier::remove_watch(int wd) {
  const auto found = marks_.find(wd);
  if (found == marks_.end()) return;
  if (const auto inode = found->second.lock()) {
    std::erase_if(inode->marks, [&](const FakeInode::Mark& mark) { return mark.by == this; });
  }
  forget(wd);
}

void FakeNotifier::forget(int wd) {
  if (marks_.erase(wd) == 0) return;
  --fs_.watches_;
  queue(wd, IN_IGNORED, 0, "");
}

std::size_t FakeNotifier::size_of(const Queued& record) {
  constexpr std::size_t kHeader = sizeof(inotify_event);
  if (record.name.empty()) return kHeader;
  return kHeader + (record.name.size() + 1 + kHeader - 1) / kHeader * kHeader;
}

void FakeNotifier::queue(int wd, std::uint32_t mask, std::uint32_t cookie,
                         const std::string& name) {
  if (queue_.size() >= limit_) {
    if (!std::exchange(overflow_queued_, true)) {
      queue_.push_back({-1, IN_Q_OVERFLOW, 0, ""});
      total_ += size_of(queue_.back());
    }
    return;
  }
  // The cookie is not compared: the second of two equal neighbours is lost with its cookie.
  if (!queue_.empty()) {
    const Queued& last = queue_.back();
    if (last.wd == wd && last.mask == mask && last.name == name && (mask & IN_IGNORED) == 0) return;
  }
  queue_.push_back({wd, mask, cookie, name});
  total_ += size_of(queue_.back());
}

std::vector<std::byte> FakeNotifier::read(std::size_t most) {
  std::vector<std::byte> bytes;
  while (!queue_.empty() && most-- > 0) {
    const Queued& record = queue_.front();
    const std::size_t size = size_of(record);
    inotify_event header{};
    header.wd = record.wd;
    header.mask = record.mask;
    header.cookie = record.cookie;
    header.len = static_cast<std::uint32_t>(size - sizeof header);
    const std::size_t at = bytes.size();
    bytes.resize(at + size);
    std::memcpy(bytes.data() + at, &header, sizeof header);
    std::memcpy(bytes.data() + at + sizeof header, record.name.data(), record.name.size());
    if ((record.mask & IN_Q_OVERFLOW) != 0) overflow_queued_ = false;
    queue_.pop_front();
  }
  read_ += bytes.size();
  return bytes;
}

}  // namespace inotifier::testing
