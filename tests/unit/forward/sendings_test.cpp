// What may be sent when, with a broker that a test plays itself.
#include "forward/sendings.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace inotifier;
using namespace inotifier::forward;
using What = Outcome::What;

namespace {

Event event(const std::string& path, int number) {
  Event made;
  made.id = path + std::to_string(number);
  made.source = "//daemon/incoming";
  made.type = "file.completed";
  made.subject = path;
  made.sequence = std::to_string(number);
  return made;
}

class FakeBroker : public Broker {
 public:
  void connect() override {}
  bool send(std::uint64_t number, const Event& given) override {
    if (sent.size() == breaks_after) throw BrokerError("connection reset");
    if (sent.size() >= room) return false;
    sent.emplace_back(number, given.id);
    return true;
  }
  void flush() override { ++flushes; }
  std::vector<Outcome> collect() override { return {}; }
  int fd() const override { return -1; }

  /// The ids of what was sent since the last call.
  std::vector<std::string> ids() {
    std::vector<std::string> result;
    for (; told < sent.size(); ++told) result.push_back(sent[told].second);
    return result;
  }
  /// Of the last time that this was sent.
  std::uint64_t number(const std::string& id) const {
    std::uint64_t result = 0;
    for (const auto& each : sent) {
      if (each.second == id) result = each.first;
    }
    return result;
  }

  std::vector<std::pair<std::uint64_t, std::string>> sent;
  std::size_t room = 1000;
  std::size_t breaks_after = 1000;
  std::size_t told = 0;
  int flushes = 0;
};

using Ids = std::vector<std::string>;
constexpr Nanos kLater = 3600 * kSecond;

struct Case {
  Sendings sendings{{}, 1};
  FakeBroker broker;

  auto settle(const std::string& id, What what, Nanos now = 0, std::string words = "") {
    return sendings.settle({broker.number(id), what, std::move(words)}, now);
  }
};

}  // namespace

TEST_CASE(
    "sendings: different paths are under way at once, those of one path one after the other") {
  Case c;
  for (const auto* path : {"a", "b", "a", "c"}) c.sendings.add(event(path, 1));
  c.sendings.add(event("a", 2));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1", "b1", "c1"});
  CHECK(c.broker.flushes == 1);
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids().empty());
  REQUIRE(c.settle("a1", What::kDone));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1"});
  REQUIRE(c.settle("a1", What::kDone));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a2"});
}

TEST_CASE("sendings: a path is not overtaken by its next event while it is tried again") {
  Case c;
  c.sendings.add(event("a", 1));
  c.sendings.add(event("a", 2));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1"});
  CHECK_FALSE(c.settle("a1", What::kAgain, 0, "HTTP 500"));
  CHECK(c.sendings.complaint() == "HTTP 500");
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids().empty());
  const auto due = c.sendings.next_due();
  REQUIRE(due);
  CHECK(*due >= Backoff::kFirst / 2);
  CHECK(*due <= Backoff::kFirst);
  c.sendings.send(c.broker, *due);
  CHECK(c.broker.ids() == Ids{"a1"});
  const auto settled = c.settle("a1", What::kDone, *due);
  REQUIRE(settled);
  CHECK(settled->tries == 2);
  CHECK(c.sendings.complaint().empty());
}

TEST_CASE("sendings: a rejection is settled with the words, and the path goes on") {
  Case c;
  c.sendings.add(event("a", 1));
  c.sendings.add(event("a", 2));
  c.sendings.send(c.broker, 0);
  const auto settled = c.settle("a1", What::kRejected, 0, "HTTP 422: no such study");
  REQUIRE(settled);
  CHECK(settled->rejected);
  CHECK(settled->words == "HTTP 422: no such study");
  CHECK(settled->event.id == "a1");
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1", "a2"});
}

TEST_CASE("sendings: an answer that comes twice, or to nothing, changes nothing") {
  Case c;
  c.sendings.add(event("a", 1));
  c.sendings.add(event("b", 1));
  c.sendings.send(c.broker, 0);
  REQUIRE(c.settle("a1", What::kDone));
  CHECK_FALSE(c.settle("a1", What::kDone));
  CHECK_FALSE(c.settle("a1", What::kRejected));
  CHECK_FALSE(c.sendings.settle({999, What::kDone}, 0));
  CHECK(c.sendings.in_flight() == 1);
  CHECK_FALSE(c.settle("b1", What::kAgain));
  CHECK_FALSE(c.settle("b1", What::kAgain));
  CHECK(c.sendings.size() == 1);
}

TEST_CASE("sendings: what has no answer when the connection breaks is sent again, in order") {
  Case c;
  for (const auto* path : {"a", "b", "c", "d"}) c.sendings.add(event(path, 1));
  c.broker.breaks_after = 3;
  CHECK_THROWS_AS(c.sendings.send(c.broker, 0), BrokerError);
  REQUIRE(c.settle("b1", What::kDone));
  c.sendings.lost();
  CHECK(c.sendings.in_flight() == 0);
  c.broker.ids();
  c.broker.breaks_after = 1000;
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1", "c1", "d1"});
  const auto settled = c.settle("a1", What::kDone);
  REQUIRE(settled);
  CHECK(settled->tries == 1);
}

TEST_CASE("sendings: after a reset answers to what was sent before are ignored") {
  Case c;
  c.sendings.add(event("a", 1));
  c.sendings.send(c.broker, 0);
  c.sendings.clear();
  CHECK_FALSE(c.settle("a1", What::kDone));
  c.sendings.add(event("a", 1));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1", "a1"});
  CHECK(c.sendings.in_flight() == 1);
}

TEST_CASE("sendings: no more than the limit is under way, nor more than the broker has room for") {
  Case c;
  Sendings limited({2, 0}, 1);
  for (const auto* path : {"a", "b", "c"}) {
    limited.add(event(path, 1));
    c.sendings.add(event(path, 1));
  }
  limited.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1", "b1"});
  c.broker.room = 3;
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids() == Ids{"a1"});
}

TEST_CASE("sendings: an unwell broker gets one event at a time, after pauses that double") {
  Case c;
  for (const auto* path : {"a", "b", "c", "d"}) c.sendings.add(event(path, 1));
  c.sendings.send(c.broker, 0);
  CHECK(c.broker.ids().size() == 4);
  for (const auto* id : {"a1", "b1", "c1", "d1"}) CHECK_FALSE(c.settle(id, What::kAgain));
  Nanos now = 0;
  Nanos longest = 0;
  for (int round = 0; round < 12; ++round) {
    const auto due = c.sendings.next_due();
    REQUIRE(due);
    longest = std::max(longest, *due - now);
    CHECK(*due - now <= Backoff::kLongest);
    now = *due;
    c.sendings.send(c.broker, now);
    const auto ids = c.broker.ids();
    REQUIRE(ids.size() == 1);
    CHECK_FALSE(c.settle(ids[0], What::kAgain, now));
  }
  CHECK(longest > 5 * kSecond);
  c.sendings.send(c.broker, kLater);
  const auto ids = c.broker.ids();
  REQUIRE(ids.size() == 1);
  REQUIRE(c.settle(ids[0], What::kDone, kLater));
  c.sendings.send(c.broker, kLater);
  CHECK(c.broker.ids().size() == 3);
}

TEST_CASE("sendings: a pause that the other side asked for holds for everything") {
  Case c;
  c.sendings.add(event("a", 1));
  c.sendings.send(c.broker, 0);
  c.sendings.add(event("b", 1));
  CHECK_FALSE(c.sendings.settle({c.broker.number("a1"), What::kAgain, "", 60 * kSecond}, 0));
  CHECK(c.broker.ids() == Ids{"a1"});
  c.sendings.send(c.broker, 60 * kSecond - 1);
  CHECK(c.broker.ids().empty());
  CHECK(c.sendings.next_due() == 60 * kSecond);
  c.sendings.send(c.broker, 60 * kSecond);
  CHECK(c.broker.ids().size() == 1);
}

TEST_CASE("sendings: with max_tries an event that only fails is rejected in the end") {
  FakeBroker broker;
  Sendings sendings({10, 2}, 1);
  sendings.add(event("a", 1));
  sendings.send(broker, 0);
  CHECK_FALSE(sendings.settle({broker.number("a1"), What::kAgain, "HTTP 500"}, 0));
  sendings.send(broker, kLater);
  const auto settled = sendings.settle({broker.number("a1"), What::kAgain, "HTTP 500"}, kLater);
  REQUIRE(settled);
  CHECK(settled->rejected);
  CHECK(settled->tries == 2);
  CHECK(sendings.size() == 0);
}

TEST_CASE(
    "sendings: whatever is answered, lost and given up, each event is settled once, in the "
    "order of its path") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    std::minstd_rand random(seed);
    const auto one_in = [&](std::uint32_t n) { return random() % n == 0; };
    Sendings sendings({7, 0}, seed);
    FakeBroker broker;
    broker.room = broker.breaks_after = 1'000'000;
    std::map<std::string, int> last;
    std::vector<std::uint64_t> under_way;
    int added = 0;
    int settled_count = 0;
    Nanos now = 0;
    while (settled_count < 300) {
      if (added < 300) sendings.add(event(std::string(1, "abcdefgh"[random() % 8]), ++added));
      const std::size_t before = broker.sent.size();
      sendings.send(broker, now);
      CHECK(sendings.in_flight() <= 7);
      for (std::size_t i = before; i < broker.sent.size(); ++i) {
        under_way.push_back(broker.sent[i].first);
      }
      if (one_in(20)) {
        sendings.lost();
        under_way.clear();
      }
      if (!under_way.empty() && !one_in(3)) {
        std::swap(under_way[random() % under_way.size()], under_way.back());
        const auto settled = sendings.settle({under_way.back(), one_in(4)   ? What::kAgain
                                                                : one_in(9) ? What::kRejected
                                                                            : What::kDone},
                                             now);
        under_way.pop_back();
        if (settled) {
          ++settled_count;
          int& before_it = last[settled->event.subject];
          const int number = std::stoi(settled->event.sequence);
          CHECK(number > before_it);
          before_it = number;
        }
      }
      now += 10 * kSecond;
    }
    CHECK(sendings.size() == 0);
    CHECK(sendings.oldest() == nullptr);
  }
}
