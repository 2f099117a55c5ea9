// One inotify instance and the watches that share it. The kernel gives a directory one wd and one
// mask per instance, so each wd is held by one watch alone, and every record goes to its holder;
// an overflow concerns them all. Owned by the pipeline; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "fs/fs.hpp"
#include "source/decode.hpp"

namespace inotifier {

class SharedInstance {
 public:
  /// A watch. Its table of directories says which wds it holds.
  class Member {
   public:
    virtual ~Member() = default;
    /// The record of a wd that it holds, or an overflow.
    virtual void on_record(const Record& record, std::uint64_t position) = 0;
    /// Records may have been missed.
    virtual void on_doubt(std::string_view reason) = 0;
    /// Whether it has this wd, or had it until its IN_IGNORED comes.
    virtual bool holds(int wd) const = 0;
    /// Whether the directory of a wd that it holds is where it knows it to be.
    virtual bool is_there(int wd) = 0;
    /// The directory is another watch's by now: its wd was removed.
    virtual void on_taken(int wd) = 0;
  };

  /// `notifier` lives as long as this; its queue is empty.
  explicit SharedInstance(Notifier& notifier)
      : notifier_(notifier), handled_(notifier.queued_bytes()) {}
  SharedInstance(const SharedInstance&) = delete;
  SharedInstance& operator=(const SharedInstance&) = delete;

  void join(Member& member) { members_.push_back(&member); }
  /// `removed`: wds that it had, whose records may still come.
  void leave(Member& member, const std::unordered_set<int>& removed);
  std::size_t members() const { return members_.size(); }

  /// As Notifier::add_watch(). -EEXIST: another watch holds the directory's wd, and has the
  /// directory at its place: a bind mount or a link shows it to both.
  int add_watch(Member& member, int handle, std::uint32_t mask);
  void remove_watch(int wd) { notifier_.remove_watch(wd); }
  std::uint64_t queued_bytes() const { return notifier_.queued_bytes(); }
  /// How many bytes of records its watches have handled.
  std::uint64_t handled_bytes() const { return handled_; }

  /// Records in the order of the queue; `position` is the stream position of the first byte.
  void on_bytes(std::span<const std::byte> bytes, std::uint64_t position);

 private:
  void on_record(const Record& record, std::uint64_t position);
  Member* holder_of(int wd);
  void on_doubt(std::string_view reason);

  Notifier& notifier_;
  std::vector<Member*> members_;
  std::size_t last_ = 0;          ///< member that the last record was for: the next mostly is, too
  std::unordered_set<int> left_;  ///< wds of members that have left, until their IN_IGNORED
  std::uint64_t handled_;
};

/// What one watch has of an instance. Owned by a Watcher; pipeline thread.
class InstanceShare final : public Notifier {
 public:
  /// `instance` may be null: the watch is polled.
  InstanceShare(SharedInstance* instance, SharedInstance::Member& member);
  InstanceShare(const InstanceShare&) = delete;
  InstanceShare& operator=(const InstanceShare&) = delete;

  explicit operator bool() const { return instance_ != nullptr; }
  bool is_alone() const { return instance_->members() == 1; }
  /// `removed` is that of SharedInstance::leave(); `to` may be null.
  void move(SharedInstance* to, const std::unordered_set<int>& removed);

  int add_watch(int handle, std::uint32_t mask) override {
    return instance_->add_watch(member_, handle, mask);
  }
  void remove_watch(int wd) override { instance_->remove_watch(wd); }
  std::uint64_t queued_bytes() const override { return instance_->queued_bytes(); }
  std::uint64_t handled_bytes() const { return instance_->handled_bytes(); }

 private:
  SharedInstance* instance_;
  SharedInstance::Member& member_;
};

}  // namespace inotifier
