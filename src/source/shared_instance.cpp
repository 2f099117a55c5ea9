#include "source/shared_instance.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>

namespace inotifier {

void SharedInstance::leave(Member& member, const std::unordered_set<int>& removed) {
  std::erase(members_, &member);
  left_.insert(removed.begin(), removed.end());
}

int SharedInstance::add_watch(Member& member, int handle, std::uint32_t mask) {
  if (members_.size() == 1) return notifier_.add_watch(handle, mask);
  // Without IN_MASK_CREATE the mask of a watch that holds it would be replaced
  // (inotify_add_watch(2)).
  const int made = notifier_.add_watch(handle, mask | IN_MASK_CREATE);
  if (made == -EINVAL) return -EEXIST;  // before Linux 4.18 nothing can be shared
  if (made != -EEXIST) return made;
  // Asks for the wd and changes nothing: every mask has this bit.
  const int wd = notifier_.add_watch(handle, IN_MASK_ADD | IN_DELETE);
  if (wd < 0) return wd;
  Member* holder = holder_of(wd);
  if (holder != nullptr && holder != &member) {
    if (holder->is_there(wd)) return -EEXIST;
    // It has left the other's tree. A new wd, so that earlier records are not taken for ours.
    notifier_.remove_watch(wd);
    holder->on_taken(wd);
  }
  return notifier_.add_watch(handle, mask);
}

void SharedInstance::on_bytes(std::span<const std::byte> bytes, std::uint64_t position) {
  Decoder decoder(bytes);
  Record record;
  std::size_t offset = decoder.offset();
  while (decoder.next(record)) {
    on_record(record, position + offset);
    offset = decoder.offset();
  }
  if (decoder.broken()) on_doubt("broken_record");
  handled_ = position + bytes.size();
}

void SharedInstance::on_record(const Record& record, std::uint64_t position) {
  // Before any look-up: an overflow has no wd (inotify(7)).
  if ((record.mask & IN_Q_OVERFLOW) != 0) {
    for (Member* member : members_) member->on_record(record, position);
    return;
  }
  if (Member* holder = holder_of(record.wd)) return holder->on_record(record, position);
  const bool left = left_.contains(record.wd);
  if ((record.mask & IN_IGNORED) != 0) {
    left_.erase(record.wd);
  } else if (!left) {
    on_doubt("unknown_wd");
  }
}

SharedInstance::Member* SharedInstance::holder_of(int wd) {
  for (std::size_t tried = 0; tried < members_.size(); ++tried, ++last_) {
    if (last_ >= members_.size()) last_ = 0;
    if (members_[last_]->holds(wd)) return members_[last_];
  }
  return nullptr;
}

void SharedInstance::on_doubt(std::string_view reason) {
  for (Member* member : members_) member->on_doubt(reason);
}

InstanceShare::InstanceShare(SharedInstance* instance, SharedInstance::Member& member)
    : instance_(instance), member_(member) {
  if (instance_ != nullptr) instance_->join(member_);
}

void InstanceShare::move(SharedInstance* to, const std::unordered_set<int>& removed) {
  if (instance_ != nullptr) instance_->leave(member_, removed);
  instance_ = to;
  if (instance_ != nullptr) instance_->join(member_);
}

}  // namespace inotifier
