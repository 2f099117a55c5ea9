// The inotify instances, one per watch, and the thread that keeps their queues empty: it reads to
// EAGAIN and pushes bytes, nothing else. Made and stopped by its owner; add_watch and its like are
// called by the pipeline thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
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

  /// While the reader does not run. Null, with the errno in `error`, if there are no instances left
  /// (EMFILE).
  Notifier* add_instance(std::size_t watch, int& error);
  /// While the reader does not run.
  void remove_instance(std::size_t watch);
  void start();
  /// Ends the thread; what the queues still hold stays there. It may be started again.
  void stop();

 private:
  class Instance;
  void run();
  void drain(Instance& instance);

  Mailbox& mailbox_;
  std::vector<std::unique_ptr<Instance>> instances_;
  EventFd stop_;
  std::thread reader_;
};

}  // namespace inotifier
