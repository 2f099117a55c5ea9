// Bytes on their way from the reader thread (push) to the pipeline thread (take). Bounded per
// inotify instance: when a share is full the reader leaves that queue to the kernel, which
// overflows, which is a case that is handled anyway.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/event_fd.hpp"

namespace inotifier {

class Mailbox {
 public:
  struct Chunk {
    std::size_t instance = 0;    ///< number given by add_instance()
    std::uint64_t position = 0;  ///< how many bytes of its queue came before
    std::vector<std::byte> bytes;
  };

  explicit Mailbox(std::size_t bytes_per_instance) : share_(bytes_per_instance) {}

  /// Room for another instance; its number, which is not used again. The reader must not be
  /// running.
  std::size_t add_instance() {
    held_.push_back(0);
    return held_.size() - 1;
  }

  /// Reader: an empty chunk, with the capacity of an earlier one where possible.
  Chunk fresh();
  void push(Chunk chunk);
  bool is_full(std::size_t instance) const;
  /// Readable when a full share has room again.
  int room_fd() const { return room_.fd(); }
  void clear_room() { room_.clear(); }

  /// Pipeline: the oldest chunks, about `most_bytes` of them. What was taken before is given back.
  void take(std::vector<Chunk>& chunks, std::size_t most_bytes);
  /// Readable while something is inside.
  int filled_fd() const { return filled_.fd(); }
  bool empty() const;

 private:
  const std::size_t share_;
  mutable std::mutex mutex_;
  std::deque<Chunk> chunks_;
  std::vector<Chunk> spare_;
  std::vector<std::size_t> held_;  ///< bytes of each instance
  EventFd filled_;
  EventFd room_;
};

}  // namespace inotifier
