#include "serve/ownership.hpp"

#include <doctest/doctest.h>

#include "serve/request.hpp"
#include "support/kept_journal.hpp"

using namespace inotifier;
using inotifier::testing::KeptJournal;

namespace {

constexpr Nanos kLease = 60 * kSecond;

JournalOptions options_at(std::string path) {
  JournalOptions options;
  options.path = std::move(path);
  options.daemon_name = "test";
  return options;
}

struct World : KeptJournal {
  Now now{1'000 * kSecond, 1'800'000'000 * kSecond};
  Journal journal{options_at(path()), now};
  Consumers consumers{journal, now.mono};
  Ownership ownership{journal, consumers};
  StoredConsumer& consumer = consumers.add("c");
};

}  // namespace

TEST_CASE("ownership: a consumer is free until it is taken, and again when the lease has run out") {
  World world;
  const Nanos mono = world.now.mono;
  CHECK(Ownership::is_free(world.consumer, "a", mono));
  CHECK_THROWS_AS(Ownership::check(world.consumer, "a"), Refusal);
  world.ownership.take_over(world.consumer, "a");
  world.ownership.set_lease(world.consumer, kLease, mono);
  CHECK_NOTHROW(Ownership::check(world.consumer, "a"));
  CHECK(Ownership::is_free(world.consumer, "a", mono));
  CHECK(!Ownership::is_free(world.consumer, "b", mono + kLease - 1));
  CHECK(Ownership::is_free(world.consumer, "b", mono + kLease));
  CHECK(Ownership::time_left(world.consumer, mono + kSecond) == kLease - kSecond);
  CHECK(!Ownership::is_owned(world.consumer, mono + kLease));
  // The owner is still told apart from others: nobody has taken it over.
  CHECK_NOTHROW(Ownership::check(world.consumer, "a"));
}

TEST_CASE("ownership: a long poll keeps the lease, release ends it") {
  World world;
  const Nanos mono = world.now.mono;
  world.ownership.take_over(world.consumer, "a");
  world.ownership.set_lease(world.consumer, kLease, mono);
  world.consumer.polled = true;
  CHECK(!Ownership::is_free(world.consumer, "b", mono + 2 * kLease));
  CHECK(Ownership::time_left(world.consumer, mono + 2 * kLease) == kLease);
  world.consumer.polled = false;
  world.ownership.release(world.consumer, mono);
  CHECK(Ownership::is_free(world.consumer, "b", mono));
  CHECK_THROWS_AS(Ownership::check(world.consumer, "a"), Refusal);
}

TEST_CASE("ownership: that a consumer was seen is written every ten minutes at most") {
  World world;
  REQUIRE(world.consumers.flush([](StoredConsumer&) {}));
  world.ownership.note_seen(world.consumer, world.now);
  REQUIRE(world.consumers.flush([](StoredConsumer&) {}));
  world.now.wall += 599 * kSecond;
  world.now.mono += 599 * kSecond;
  world.ownership.note_seen(world.consumer, world.now);
  CHECK(!world.consumers.has_changes());
  CHECK(world.consumer.kept.seen == world.now.wall);
  world.now.mono += kSecond;
  world.ownership.note_seen(world.consumer, world.now);
  CHECK(world.consumers.has_changes());
}
