#include "source/mailbox.hpp"

#include <utility>

namespace inotifier {
Mailbox::Chunk Mailbox::fresh() {
  const std::lock_guard lock(mutex_);
  if (spare_.empty()) return {};
  Chunk chunk = std::move(spare_.back());
  spare_.pop_back();
  return chunk;
}

void Mailbox::push(Chunk chunk) {
  const std::lock_guard lock(mutex_);
  held_[chunk.instance] += chunk.bytes.size();
  if (chunks_.empty()) filled_.raise();
  chunks_.push_back(std::move(chunk));
}

bool Mailbox::is_full(std::size_t instance) const {
  const std::lock_guard lock(mutex_);
  return held_[instance] >= share_;
}

void Mailbox::take(std::vector<Chunk>& chunks, std::size_t most_bytes) {
  constexpr std::size_t kSpares = 16;
  const std::lock_guard lock(mutex_);
  for (Chunk& used : chunks) {
    if (spare_.size() < kSpares) spare_.push_back(std::move(used));
  }
  chunks.clear();
  std::size_t bytes = 0;
  while (!chunks_.empty() && bytes < most_bytes) {
    Chunk& first = chunks_.front();
    bytes += first.bytes.size();
    std::size_t& held = held_[first.instance];
    const bool was_full = held >= share_;
    held -= first.bytes.size();
    if (was_full && held < share_) room_.raise();
    chunks.push_back(std::move(first));
    chunks_.pop_front();
  }
  if (chunks_.empty()) filled_.clear();
}

bool Mailbox::empty() const {
  const std::lock_guard lock(mutex_);
  return chunks_.empty();
}

}  // namespace inotifier
