// The inotify instances, each of one watch or of several, and the thread that keeps their queues
// empty: it reads all and pushes bytes, nothing else; how often under load, Gathering says. Made
// and stopped by its owner; add_watch and its like are called by the pipeline thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/event_fd.hpp"
#include "fs/fs.hpp"
#include "source/mailbox.hpp"

namespace inotifier {

class InotifySource {
 public:
  explicit InotifySource(Mailbox& mailbox);
  ~InotifySource();
  InotifySource(const InotifySource&) = delete;
  InotifySource& operator=(const InotifySource&) = delete;

  struct Added {
    std::size_t number;
    Notifier& notifier;
  };
  /// Its stream of records begins at `position`. Nothing, with the errno in `error`, if there are
  /// no instances left (EMFILE). The reader may run.
  std::optional<Added> add_instance(std::uint64_t position, int& error);
  /// While the reader does not run.
  void remove_instance(std::size_t number);
  void start();
  /// Ends the thread; what the queues still hold stays there. It may be started again.
  void stop();

 private:
  class Instance;
  void run();
  bool wait(Nanos pause) const;
  void drain(Instance& instance);

  Mailbox& mailbox_;
  std::vector<std::unique_ptr<Instance>> instances_;
  EventFd stop_;
  std::thread reader_;
};

}  // namespace inotifier
