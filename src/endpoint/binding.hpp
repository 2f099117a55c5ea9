// The endpoints of a socket: binds them, keeps other daemons away from ipc paths, and removes those
// at the end. Owned by who owns the socket (Publisher, the fetch service), on its thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/file_lock.hpp"
#include "inotifier/time.hpp"

namespace zmq {
class socket_t;
}  // namespace zmq

namespace inotifier {

class Security;

class BoundSocket {
 public:
  /// Binds. An ipc path gets its directory made, a socket of mode 0660 and of the group that
  /// `security` tells, and a lock file `<path>.lock` held with flock(2), so that a second daemon
  /// cannot steal it. With keys in `security` (nullptr: none) tcp endpoints ask for them; it must
  /// outlive the socket. `section` ("publish", "fetch") is for the texts. Sets those options of
  /// the socket that concern its peers' connections; what else it needs (high-water mark, largest
  /// message) must be set before. Throws SetupError with path and remedy.
  BoundSocket(zmq::socket_t& socket, const std::vector<std::string>& endpoints,
              std::string_view section, const Security* security);
  /// Removes the ipc sockets. The zmq socket may be closed before or after.
  ~BoundSocket();
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;

  /// Every turn: a socket whose path somebody has removed, as cleaners of /tmp do, gets its path
  /// again, or nobody could connect any more. Looks every five seconds.
  void restore_paths();

  /// What was bound, with the port that "tcp://127.0.0.1:*" became.
  const std::vector<std::string>& endpoints() const { return endpoints_; }

 private:
  struct Path {
    std::string name;
    FileLock lock;
    dev_t device = 0;  ///< of the socket that we put there
    ino_t inode = 0;
    bool is_missing = false;  ///< and could not be put there again
  };

  /// Each makes of the endpoint what was bound.
  void bind_ipc(std::string& endpoint);
  void bind_tcp(std::string& endpoint);
  void bind(std::string& endpoint);
  /// Locks the path and listens there.
  void put(Path& path);
  void restore(Path& path);
  void remove_paths();

  zmq::socket_t& socket_;
  std::string section_;
  const Security* security_;
  Nanos next_look_ = 0;  ///< monotonic
  std::vector<Path> paths_;
  std::vector<std::string> endpoints_;
};

}  // namespace inotifier
