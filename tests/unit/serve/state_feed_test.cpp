#include "serve/state_feed.hpp"

#include <doctest/doctest.h>

#include "support/kept_journal.hpp"

using namespace inotifier;
using inotifier::testing::KeptJournal;

TEST_CASE("state feed: a consumer is fed until its state is complete, one slice a turn") {
  const KeptJournal kept;
  Now now{1'000 * kSecond, 1'800'000'000 * kSecond};
  JournalOptions options;
  options.path = kept.path();
  options.daemon_name = "test";
  Journal journal(options, now);
  Consumers consumers(journal, now.mono);
  StateFeed feed(journal, consumers);
  CHECK(!feed.deadline());
  CHECK(feed.turn(now) == nullptr);

  StoredConsumer& consumer = consumers.add("c");
  feed.add(consumer);
  CHECK(feed.deadline());
  // It is not written yet: entries for it would have no owner.
  CHECK(feed.turn(now) == nullptr);
  REQUIRE(consumers.flush([](StoredConsumer&) {}));
  CHECK(feed.turn(now) == nullptr);  // and the next try is a second later
  now.mono += kSecond;
  CHECK(feed.turn(now) == &consumer);
  CHECK(!consumer.kept.snapshot);  // no watch, nothing to feed
  CHECK(feed.turn(now) == nullptr);
  CHECK(!feed.deadline());
}
