// The PUB socket: two frames a message, and the heartbeat. Owned by the daemon; pipeline thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace inotifier {

class Publisher {
 public:
  /// Binds. An ipc path gets its directory made, mode 0660, and a lock file `<path>.lock` held with
  /// flock(2), so that a second daemon cannot steal it; the socket is removed at the end. Changes
  /// the umask for a moment, so no other thread may make files meanwhile. Throws SetupError with
  /// path and remedy.
  Publisher(const std::vector<std::string>& endpoints, int high_water_mark);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// Never blocks; a subscriber beyond its high-water mark misses the message.
  void publish(std::string_view topic, std::string_view body);

  /// What was bound, with the port that "tcp://127.0.0.1:*" became.
  const std::vector<std::string>& endpoints() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
