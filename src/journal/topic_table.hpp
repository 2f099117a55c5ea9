// The topics of the event log ("type/watch/") and the numbers that stand for them in its entries.
// Owned by the EventLog, which calls write() inside its transactions; pipeline thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "journal/sqlite.hpp"

namespace inotifier {

class TopicTable {
 public:
  struct Topic {
    std::string name;
    std::uint64_t last = 0;       ///< position of its last event; 0 if there is none
    std::uint64_t published = 0;  ///< the same, of those that were committed
    std::uint64_t evicted = 0;    ///< position of its last event that is not kept; 0 if all are
    bool changed = false;         ///< see write()
  };

  /// `database`: null if nothing is kept.
  explicit TopicTable(sqlite::Database* database);

  /// Numbers run from 1 to size() - 1.
  std::uint32_t size() const { return static_cast<std::uint32_t>(topics_.size()); }
  const Topic& operator[](std::uint32_t number) const { return topics_[number]; }
  /// Makes it if it is new.
  std::uint32_t number_of(std::string_view name);

  void set_last(std::uint32_t number, std::uint64_t position);
  void set_published(std::uint32_t number, std::uint64_t position) {
    topics_[number].published = position;
  }
  void set_evicted(std::uint32_t number, std::uint64_t position) {
    topics_[number].evicted = position;
  }

  // In a transaction of the caller:

  /// Writes new topics and last positions that have changed since committed().
  void write();
  void committed();
  /// Writes what set_evicted() is called with after the transaction.
  void write_evicted(std::uint32_t number, std::uint64_t position);

 private:
  sqlite::Statement put_;
  sqlite::Statement put_evicted_;
  std::vector<Topic> topics_;  ///< by number; 0 is none
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
};

}  // namespace inotifier
