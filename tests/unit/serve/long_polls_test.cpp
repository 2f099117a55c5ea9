#include "serve/long_polls.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inotifier/wire.hpp"
#include "serve/limits.hpp"
#include "serve/request.hpp"
#include "support/kept_journal.hpp"

using namespace inotifier;
using inotifier::testing::KeptJournal;

namespace {

JournalOptions options_at(std::string path) {
  JournalOptions options;
  options.path = std::move(path);
  options.daemon_name = "test";
  return options;
}

struct World : KeptJournal {
  std::uint64_t emit(std::string_view type) {
    WatchReport report{"in", "/srv/in", {}};
    report.report.type = type;
    report.report.path = "f";
    journal.commit({report}, now.wall, {}, [](std::string_view, std::string_view) {});
    return journal.events().last_position();
  }
  /// A reading poll without a consumer, from the end of the log on.
  LongPoll poll(std::string type, Nanos wait) const {
    LongPoll made;
    made.to.route = {type};
    made.own_filter = TopicFilter({{type}, {}});
    made.limit = 10;
    made.from = journal.events().last_position();
    made.asked = made.deadline = now.mono + wait;
    return made;
  }
  void turn() {
    polls.turn(now);
    replies.send();
  }
  std::string answered() const {
    std::string all;
    for (const std::string& peer : sent) all += peer + " ";
    return all;
  }

  Now now{1'000 * kSecond, 1'800'000'000 * kSecond};
  Journal journal{options_at(path()), now};
  Consumers consumers{journal, now.mono};
  Ownership ownership{journal, consumers};
  std::vector<std::string> sent;
  Replies replies{journal,
                  [this](const Route& route, std::string_view) { sent.push_back(route[0]); }};
  LongPolls polls{journal, ownership, replies};
};

}  // namespace

TEST_CASE("long polls: each is answered by an event that it wants, or when its time is up") {
  World world;
  world.emit("file.completed");
  world.polls.add(world.poll("file.completed", 10 * kSecond));
  world.polls.add(world.poll("file.moved", 5 * kSecond));
  world.turn();
  CHECK(world.answered().empty());
  CHECK(world.polls.deadline(world.now) == world.now.mono + 5 * kSecond);
  world.emit("file.completed");
  world.turn();
  CHECK(world.answered() == "file.completed ");
  world.now.mono += 5 * kSecond - 1;
  world.turn();
  CHECK(world.polls.size() == 1);
  world.now.mono += 1;
  world.turn();
  CHECK(world.answered() == "file.completed file.moved ");
  CHECK(!world.polls.deadline(world.now));
}

TEST_CASE("long polls: the first on standby takes over when the owner's lease has run out") {
  World world;
  StoredConsumer& consumer = world.consumers.add("c");
  world.ownership.take_over(consumer, "owner");
  world.ownership.set_lease(consumer, kSecond, world.now.mono);
  for (const char* client : {"first", "second"}) {
    LongPoll poll = world.poll(client, 60 * kSecond);
    poll.consumer = &consumer;
    poll.client = client;
    poll.lease = 10 * kSecond;
    poll.state = LongPoll::State::kStandby;
    world.polls.add(std::move(poll));
  }
  world.turn();
  CHECK(world.polls.deadline(world.now) == consumer.expires);
  world.now.mono += kSecond;
  world.turn();
  CHECK(consumer.kept.owner == "first");
  CHECK(world.polls.state_of(consumer, "first") == LongPoll::State::kWaiting);
  CHECK(world.polls.state_of(consumer, "second") == LongPoll::State::kStandby);
  world.polls.refuse_owner_of(consumer, "not_owner", "moved");
  world.replies.send();
  CHECK(world.answered() == "first ");
  CHECK(!world.polls.state_of(consumer, "first"));
}

TEST_CASE("long polls: there is an end to their number") {
  World world;
  for (std::size_t i = 0; i < kMaxPolls; ++i) {
    REQUIRE_NOTHROW(world.polls.check_room(kSecond));
    world.polls.add(world.poll("file.moved", kSecond));
  }
  CHECK_THROWS_AS(world.polls.check_room(kSecond), Refusal);
  CHECK_NOTHROW(world.polls.check_room(0));
}
