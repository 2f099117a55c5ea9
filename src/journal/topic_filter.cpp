#include "journal/topic_filter.hpp"

#include <algorithm>
#include <functional>

namespace inotifier {
namespace {

bool admits(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::binary_search(names.begin(), names.end(), name, std::less<>());
}

}  // namespace

bool TopicFilter::wants(std::string_view topic) const {
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view watch = topic.substr(slash + 1);
  if (watch.ends_with('/')) watch.remove_suffix(1);
  return admits(filter_.types, topic.substr(0, slash)) && admits(filter_.watches, watch);
}

void TopicFilter::extend(const TopicTable& topics) {
  if (wanted_.empty()) wanted_.push_back(false);  // 0 is no topic
  for (auto topic = static_cast<std::uint32_t>(wanted_.size()); topic < topics.size(); ++topic) {
    wanted_.push_back(wants(topics[topic].name));
  }
}

std::uint64_t TopicFilter::evicted(const TopicTable& topics) {
  std::uint64_t last = 0;
  for (std::uint32_t topic = 1; topic < topics.size(); ++topic) {
    if (topics[topic].evicted > last && wants(topics, topic)) last = topics[topic].evicted;
  }
  return last;
}

}  // namespace inotifier
