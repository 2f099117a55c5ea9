#include "journal/topic_table.hpp"

namespace inotifier {

TopicTable::TopicTable(sqlite::Database* database) : topics_(1) {
  if (database == nullptr) return;
  put_ = sqlite::Statement(*database,
                           "INSERT INTO topics(id, name, last) VALUES(?,?,?) "
                           "ON CONFLICT(id) DO UPDATE SET last=excluded.last");
  put_evicted_ = sqlite::Statement(*database, "UPDATE topics SET evicted=? WHERE id=?");
  sqlite::Statement read(*database, "SELECT id, name, last, evicted FROM topics ORDER BY id");
  while (read.step()) {
    const auto number = static_cast<std::uint32_t>(read.integer(0));
    if (number >= topics_.size()) topics_.resize(number + 1);
    topics_[number] = {read.text(1), read.position(2), read.position(2), read.position(3), false};
    numbers_[topics_[number].name] = number;
  }
}

std::uint32_t TopicTable::number_of(std::string_view name) {
  const auto known = numbers_.find(name);
  if (known != numbers_.end()) return known->second;
  const std::uint32_t number = size();
  topics_.emplace_back().name = name;
  topics_.back().changed = true;
  numbers_[topics_.back().name] = number;
  return number;
}

void TopicTable::set_last(std::uint32_t number, std::uint64_t position) {
  topics_[number].last = position;
  topics_[number].changed = true;
}

void TopicTable::write() {
  for (std::uint32_t number = 1; number < size(); ++number) {
    const Topic& topic = topics_[number];
    if (!topic.changed) continue;
    put_.bind(1, number).bind_text(2, topic.name).bind(3, topic.last).run();
  }
}

void TopicTable::committed() {
  for (Topic& topic : topics_) topic.changed = false;
}

void TopicTable::write_evicted(std::uint32_t number, std::uint64_t position) {
  put_evicted_.bind(1, position).bind(2, number).run();
}

}  // namespace inotifier
