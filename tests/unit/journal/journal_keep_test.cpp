#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "support/sandbox.hpp"

namespace inotifier {
namespace {

/// A journal of at most 1 MiB with one consumer.
struct Log {
  explicit Log(const std::string& path) : journal(options(path), now) {
    journal.set_wanted_after([this](const Now&) { return position; });
  }

  static JournalOptions options(const std::string& path) {
    JournalOptions options;
    options.path = path;
    options.daemon_name = "test";
    options.retain_size = 1 << 20;
    return options;
  }

  void emit(int count) {
    std::vector<WatchReport> turn(static_cast<std::size_t>(count));
    for (WatchReport& said : turn) {
      said.watch = "w";
      said.root = "/w";
      said.report.type = "watch.degraded";
      said.report.data.emplace_back("detail", std::string(1000, 'x'));
    }
    REQUIRE(journal.commit(turn, now.wall, {}, [](std::string_view, std::string_view) {}));
    while (journal.tidy(now)) {
    }
  }

  void ack(std::uint64_t up_to) { position = up_to; }

  Now now{1'000'000'000'000, 1'700'000'000'000'000'000};
  std::uint64_t position = 0;  ///< of the consumer
  Journal journal;
};

TEST_CASE("a full journal is crowded only by what a consumer has not had") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  Log log(sandbox.path() + "/journal.db");
  log.emit(500);
  CHECK(log.journal.room(log.now) > 0);
  log.emit(200);
  CHECK(log.journal.room(log.now) == 0);
  // Once full, it waits until half of what it may hold has been had.
  log.ack(log.journal.events().last_position() - 500);
  CHECK(log.journal.room(log.now) == 0);
  log.ack(log.journal.events().last_position() - 300);
  CHECK(log.journal.room(log.now) > 300);
  CHECK(log.journal.room(log.now) < 500);
  // In use for long: as much is kept as may be, and the consumer is always a moment behind.
  log.emit(2000);
  CHECK(log.journal.room(log.now) == 0);
  log.now.mono += 601 * kSecond;  // it gets nowhere
  CHECK(log.journal.room(log.now) > 0);
  log.ack(log.journal.events().last_position() - 1200);
  CHECK(log.journal.room(log.now) == 0);
  log.ack(log.journal.events().last_position() - 10);
  CHECK(log.journal.events().bytes() > (1 << 20) / 10 * 8);
  CHECK(log.journal.room(log.now) > 0);
}

TEST_CASE("a full journal gives up no more than it has to") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  Log log(sandbox.path() + "/journal.db");
  log.emit(1000);
  log.now.mono += 11 * kSecond;
  log.emit(1);
  CHECK(log.journal.events().bytes() <= 1 << 20);
  CHECK(log.journal.events().bytes() > (1 << 20) - 4096);
}

}  // namespace
}  // namespace inotifier
