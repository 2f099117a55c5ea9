// Lists what was finished since a moment, and leaves nothing behind: recent TIME [ENDPOINT]
// TIME as in 2026-11-22T10:00:00Z
#include <inotifier/client.hpp>
#include <iostream>

using inotifier::Value;

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: recent TIME [ENDPOINT]\n";
    return 2;
  }
  inotifier::Connection connection;
  if (argc > 2) connection.endpoint = argv[2];
  inotifier::Requester requester(connection);
  const Value types(Value::Array{"file.completed"});
  auto page = requester.read({{"since", argv[1]}, {"types", types}});
  for (;;) {
    for (const inotifier::Event& event : page.events) {
      std::cout << event.time << ' ' << event.path() << ' ' << event.size() << '\n';
    }
    if (page.behind == 0) break;
    page = requester.read({{"after", page.cursor}, {"stream", page.stream}, {"types", types}});
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
