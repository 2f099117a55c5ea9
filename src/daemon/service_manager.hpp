// What the service manager is told of the daemon (sd_notify(3)): ready, reloading, stopping, one
// line of status, and that it is alive. Does nothing where no manager asks for it, or where the
// build has no libsystemd. Owned by the server; pipeline thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "inotifier/time.hpp"

namespace inotifier {

class ServiceManager {
 public:
  ServiceManager();

  /// After every turn: the first one tells that the daemon is ready, the next one after
  /// reloading() that it is so again. `status` makes the line that `systemctl status` shows; it is
  /// called every few seconds. Returns the monotonic time when this is wanted again; nothing: no
  /// manager.
  std::optional<Nanos> after_turn(Nanos mono, const std::function<std::string()>& status);
  void reloading();
  void stopping();

 private:
  bool present_;
  Nanos interval_;  ///< between signs of life
  Nanos next_ = 0;  ///< monotonic
  bool ready_ = false;
  std::string line_;
};

}  // namespace inotifier
