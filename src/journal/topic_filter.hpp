// Which events are wanted, by the names of their types and watches. Values; pipeline thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "journal/topic_table.hpp"

namespace inotifier {

/// Names in order, without doubles. Empty = all.
struct EventFilter {
  std::vector<std::string> types;
  std::vector<std::string> watches;
  bool operator==(const EventFilter&) const = default;
};

/// A filter, asked by the log's numbers of topics.
class TopicFilter {
 public:
  TopicFilter() = default;
  explicit TopicFilter(EventFilter filter) : filter_(std::move(filter)) {}
  const EventFilter& filter() const { return filter_; }
  bool wants(const TopicTable& topics, std::uint32_t topic) {
    if (topic >= wanted_.size()) extend(topics);
    return topic < wanted_.size() && wanted_[topic];
  }
  /// Whether a topic of that name would be wanted.
  bool wants(std::string_view topic) const;
  /// Position of the last event it wants that is not kept any more; 0 if all are.
  std::uint64_t evicted(const TopicTable& topics);

 private:
  void extend(const TopicTable& topics);

  EventFilter filter_;
  std::vector<bool> wanted_;  ///< by number of the topic
};

}  // namespace inotifier
