// Prints each finished file: subscriber [ENDPOINT]
#include <inotifier/client.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  inotifier::Subscriber::Options options;
  if (argc > 1) options.endpoint = argv[1];
  options.types = {"file.completed"};
  options.on_gap = [](const inotifier::Gap& gap) { std::cerr << "gap: " << gap.topic << '\n'; };
  inotifier::Subscriber subscriber(options);
  for (;;) {
    const auto event = subscriber.next(std::chrono::milliseconds(-1));
    if (event) std::cout << event->path() << ' ' << event->size() << std::endl;
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
