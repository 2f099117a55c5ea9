#include "serve/subscriptions.hpp"

#include <algorithm>

namespace inotifier {

std::optional<int> Subscriptions::add(std::string_view topic, int fd) {
  const auto [entry, is_new] = topics_.try_emplace(std::string(topic), fd);
  if (!is_new) return std::nullopt;
  const std::size_t size = topic.size() + kOverhead;
  bytes_ += size;
  std::size_t& own = bytes_of_[fd];
  own += size;
  if (topic.size() > kLongestTopic || own > kBytesOfConnection) return fd;
  if (bytes_ <= kBytesInAll) return std::nullopt;
  return std::max_element(bytes_of_.begin(), bytes_of_.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

void Subscriptions::remove(std::string_view topic) {
  const auto entry = topics_.find(topic);
  if (entry == topics_.end()) return;
  const std::size_t size = topic.size() + kOverhead;
  bytes_ -= size;
  const auto own = bytes_of_.find(entry->second);
  own->second -= size;
  if (own->second == 0) bytes_of_.erase(own);
  topics_.erase(entry);
}

}  // namespace inotifier
