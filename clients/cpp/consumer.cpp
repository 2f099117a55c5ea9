// Works on each finished file, and misses none: consumer NAME [ENDPOINT]
//
// Kill it at any moment: what was not done comes again, with the same id.
#include <inotifier/client.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: consumer NAME [ENDPOINT]\n";
    return 2;
  }
  inotifier::Consumer::Options options;
  options.name = argv[1];
  if (argc > 2) options.endpoint = argv[2];
  options.types = {"file.completed"};
  options.on_lost = [](const inotifier::Consumer::Lost& lost) {
    std::cerr << "no longer kept: " << lost.first << " to " << lost.last << '\n';
  };
  inotifier::Consumer consumer(options);
  for (;;) {
    const auto event = consumer.next(std::chrono::milliseconds(-1));
    if (!event) continue;
    std::cout << event->path() << ' ' << event->size() << std::endl;  // the work
    consumer.done(*event);
  }
} catch (const std::exception& error) {  // no connection, or the daemon refuses
  std::cerr << error.what() << '\n';
  return 1;
}
