// What subscribers have asked the PUB socket for, and which connection is to be cut off because it
// asks for too much: libzmq keeps a tree with a node for every byte of every topic, some 30 bytes
// each, and has no bound of its own. Owned by Publisher; pipeline thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace inotifier {

class Subscriptions {
 public:
  // A type and a watch of 64 bytes each, with their slashes, are 130.
  static constexpr std::size_t kLongestTopic = 256;
  // In bytes of distinct topics, with kOverhead for each.
  static constexpr std::size_t kOverhead = 32;
  static constexpr std::size_t kBytesOfConnection = 64U << 10U;
  static constexpr std::size_t kBytesInAll = 1U << 20U;

  /// The first subscription to `topic`, which came through descriptor `fd`. The connection to be
  /// cut off; nothing: all is well.
  std::optional<int> add(std::string_view topic, int fd);
  /// The last one is gone.
  void remove(std::string_view topic);
  std::size_t bytes() const { return bytes_; }

 private:
  std::map<std::string, int, std::less<>> topics_;  ///< the connection that was first
  std::map<int, std::size_t> bytes_of_;             ///< by connection
  std::size_t bytes_ = 0;
};

}  // namespace inotifier
