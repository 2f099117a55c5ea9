// The ordered log of events: gives each its position and its id, and says when a turn's events may
// be published. In memory: it keeps nothing but the counters. Owned by the daemon; pipeline thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/processor.hpp"

namespace inotifier {

/// A report with the watch it came from.
struct Said {
  std::string_view watch;  ///< lives as long as the pipeline
  std::string_view root;
  Report report;
};

class Journal {
 public:
  /// `start`: wall clock; the first position is (unix seconds) x 2^20, so that no position is given
  /// twice over restarts.
  Journal(std::string daemon_name, Nanos start);

  /// Hands every entry of the turn to `publish`, in order, with its topic and wire bytes, after it
  /// is as safe as the journal makes it.
  using Publish = std::function<void(std::string_view topic, std::string_view body)>;
  /// `time`: when the turn's facts were established, wall clock; not before any of them was.
  void commit(const std::vector<Said>& turn, Nanos time, const Publish& publish);

  const std::string& stream() const { return stream_; }
  /// Topic -> position of its last event.
  const std::map<std::string, std::uint64_t, std::less<>>& last() const { return last_; }

 private:
  void make_id(const Said& said, std::uint64_t position);

  std::string daemon_name_;
  std::string stream_;  ///< random, one per journal
  std::uint64_t position_;
  std::map<std::string, std::uint64_t, std::less<>> last_;
  // Kept from turn to turn for their capacity.
  std::string topic_;
  std::string key_;
  std::string id_;
  std::string body_;
};

}  // namespace inotifier
