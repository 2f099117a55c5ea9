// Works on each finished file, and misses none: consumer NAME [ENDPOINT]
//
// Kill it at any moment: what was not done comes again, with the same id. SIGTERM, SIGHUP and
// Ctrl-C end it between two files and release the consumer; after a kill the next one waits for the
// lease to end.
#include <poll.h>
#include <sys/signalfd.h>

#include <csignal>
#include <fstream>
#include <inotifier/client.hpp>
#include <iostream>
#include <stdexcept>

namespace {

using inotifier::Consumer;

/// A descriptor that can be read once we are asked to stop.
int stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // before there are any threads
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

bool readable(int fd) {
  pollfd item{fd, POLLIN, 0};
  return poll(&item, 1, 0) > 0;
}

void work(const inotifier::Event& event) {
  std::ifstream file(event.path(), std::ios::binary);
  if (!file) throw std::runtime_error("cannot be opened");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  std::cout << lines << " lines in " << event.path() << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: consumer NAME [ENDPOINT]\n";
    return 2;
  }
  const int stop = stop_signals();
  Consumer::Options options;
  options.name = argv[1];
  if (argc > 2) options.endpoint = argv[2];
  options.types = {"file.completed"};
  options.wake_fd = stop;
  options.on_lost = [](const Consumer::Lost& lost) {
    std::cerr << "no longer kept: " << lost.first << " to " << lost.last << '\n';
  };
  options.on_state = [](Consumer::State state) {
    if (state == Consumer::State::kStandby) std::cerr << "another one works; standing by\n";
  };
  Consumer consumer(options);
  while (!readable(stop)) {
    const auto event = consumer.next(std::chrono::milliseconds(-1));
    if (!event) continue;
    try {
      work(*event);
      if (!std::cout) {  // no file's fault, and this one is not done
        std::cerr << "the output cannot be written\n";
        return 1;
      }
      consumer.done(*event);
    } catch (const std::exception& error) {
      consumer.fail(*event, error.what(), 1);  // kept: inotifier failed NAME, inotifier retry NAME
    }
  }
} catch (const std::exception& error) {  // no connection, or the daemon refuses
  std::cerr << error.what() << '\n';
  return 1;
}
