
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "serve/limits.hpp"
#include "state/file_table.hpp"
#include "state/watch_table.hpp"
#include "support/fetch_world.hpp"
#include "support/kept_journal.hpp"
#include "wire/codec.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

struct World : KeptJournal, FetchWorld {
  World() : FetchWorld(KeptJournal::path()) {}
};

std::string text(const Value& reply, std::string_view key) {
  const Value* value = reply.find(key);
  return value == nullptr || value->text() == nullptr ? "" : *value->text();
}

std::int64_t number(const Value& reply, std::string_view key) {
  const Value* value = reply.find(key);
  return value == nullptr || value->integer() == nullptr ? -1 : *value->integer();
}

double seconds(const Value& reply, std::string_view key) {
  const Value* value = reply.find(key);
  if (value == nullptr) return -1;
  if (value->integer() != nullptr) return static_cast<double>(*value->integer());
  const double* real = std::get_if<double>(&value->v);
  return real == nullptr ? -1 : *real;
}

bool is_ok(const Value& reply) { return reply.find("ok") != nullptr && *reply.find("ok") == true; }

/// "" if it is no error.
std::string code(const Value& reply) {
  const Value* error = reply.find("error");
  return error == nullptr ? "" : text(*error, "code");
}

std::vector<std::uint64_t> positions(const Value& reply) {
  std::vector<std::uint64_t> result;
  const Value* events = reply.find("events");
  if (events == nullptr || events->array() == nullptr) return result;
  for (const Value& event : *events->array())
    result.push_back(std::stoull(text(event, "sequence")));
  return result;
}

std::vector<std::string> ids(const Value& reply) {
  std::vector<std::string> result;
  const Value* events = reply.find("events");
  if (events == nullptr || events->array() == nullptr) return result;
  for (const Value& event : *events->array()) result.push_back(text(event, "id"));
  return result;
}

std::uint64_t cursor(const Value& reply) { return std::stoull("0" + text(reply, "cursor")); }

Value::Map with(Value::Map request, Value::Map more) {
  for (auto& entry : more) request.push_back(std::move(entry));
  return request;
}

Value::Map fetch(std::string_view consumer, std::string_view client, Value::Map more = {}) {
  return with({{"op", "fetch"}, {"consumer", consumer}, {"client", client}}, std::move(more));
}

Value::Map acked(const World& world, std::uint64_t position) {
  return {{"stream", world.journal->events().stream()}, {"ack", position_text(position)}};
}

Value::Map op(std::string_view name, Value::Map more = {}) {
  return with({{"op", name}}, std::move(more));
}

Value::Map owner_op(std::string_view name, Value::Map more = {}) {
  return with({{"op", name}, {"consumer", "c"}, {"client", "me"}}, std::move(more));
}

Value the_consumer(World& world, std::string_view name = "c") {
  const Value reply = world.ask(op("consumers"));
  for (const Value& each : *reply.find("consumers")->array()) {
    if (text(each, "name") == name) return each;
  }
  return {};
}

/// The disk is full for whatever writes to `table`.
class FullDisk {
 public:
  FullDisk(Journal& journal, const std::string& table) : database_(*journal.database()) {
    database_.run("CREATE TABLE IF NOT EXISTS ballast(b)");
    const auto pages = database_.number("PRAGMA page_count");
    database_.run(("PRAGMA max_page_count = " + std::to_string(pages)).c_str());
    for (const char* event : {"UPDATE", "INSERT"}) {
      database_.run(("CREATE TEMP TRIGGER full_" + std::string(event) + " BEFORE " + event +
                     " ON " + table + " BEGIN INSERT INTO ballast VALUES(zeroblob(10000000)); END")
                        .c_str());
    }
  }
  ~FullDisk() { end(); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  void end() {
    if (ended_) return;
    ended_ = true;
    database_.run("DROP TRIGGER temp.full_UPDATE; DROP TRIGGER temp.full_INSERT;");
    database_.run("PRAGMA max_page_count = 1073741823");
  }

 private:
  sqlite::Database& database_;
  bool ended_ = false;
};

}  // namespace

TEST_CASE("fetch service: frames and request come back, stream and protocol are told") {
  World world;
  const std::string body = encode_value(Value::Map{{"op", "hello"}, {"request", "r-1"}});
  world.service->on_request({"peer", "", "x"}, body, true, world.now);
  CHECK(world.replies.empty());  // nothing is said before what was asked is safe
  world.turn();
  REQUIRE(world.replies.size() == 1);
  CHECK(world.replies[0].peer == Route{"peer", "", "x"});
  const Value& reply = world.replies[0].body;
  CHECK(is_ok(reply));
  CHECK(text(reply, "request") == "r-1");
  CHECK(number(reply, "protocol") == 1);
  CHECK(text(reply, "stream") == world.journal->events().stream());
  CHECK(text(reply, "version") == "1.2.3");
  CHECK(text(reply, "daemon") == "test");
  CHECK(text(reply, "access") == "all");
  CHECK(text(reply, "first") == "0");
  CHECK(text(reply, "last") == "0");
  const auto first = world.emit();
  const auto last = world.emit();
  const Value again = world.ask(op("hello", {{"request", 7}}), false);
  CHECK(number(again, "request") == 7);
  CHECK(text(again, "access") == "read");
  CHECK(text(again, "first") == position_text(first));
  CHECK(text(again, "last") == position_text(last));
}

TEST_CASE("fetch service: what is not acked comes again") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value first = world.ask(fetch("c", "me"));
  CHECK(positions(first).size() == 3);
  CHECK(*first.find("created") == true);
  CHECK(number(first, "behind") == 0);
  CHECK(first.find("lost") == nullptr);
  const Value second = world.ask(fetch("c", "me"));
  CHECK(positions(second) == positions(first));
  CHECK(second.find("created") == nullptr);
  const auto middle = positions(first)[1];
  const Value third = world.ask(fetch("c", "me", acked(world, middle)));
  CHECK(positions(third) == std::vector{positions(first)[2]});
  CHECK(text(the_consumer(world), "position") == position_text(middle));
  CHECK(number(the_consumer(world), "behind") == 1);
  const Value done = world.ask(owner_op("ack", acked(world, cursor(third))));
  CHECK(text(done, "position") == text(third, "cursor"));
  CHECK(positions(world.ask(fetch("c", "me"))).empty());
  // Backwards changes nothing.
  CHECK(text(world.ask(owner_op("ack", acked(world, middle))), "position") ==
        text(third, "cursor"));
}

TEST_CASE("fetch service: acks that are refused change nothing") {
  World world;
  world.emit();
  const auto last = world.emit();
  const Value first = world.ask(fetch("c", "me", {{"limit", 1}}));
  CHECK(number(first, "behind") == 1);
  CHECK(code(world.ask(owner_op("ack", acked(world, last)))) == "bad_ack");
  CHECK(code(world.ask(fetch("c", "me", acked(world, last)))) == "bad_ack");
  CHECK(code(world.ask(fetch("c", "other", acked(world, cursor(first))))) == "not_owner");
  CHECK(code(world.ask(op("ack", with({{"consumer", "c"}, {"client", "other"}},
                                      acked(world, cursor(first)))))) == "not_owner");
  CHECK(code(world.ask(
            owner_op("ack", {{"stream", "another"}, {"ack", position_text(cursor(first))}}))) ==
        "stream_changed");
  CHECK(code(world.ask(fetch("c", "me", {{"stream", "another"}}))) == "stream_changed");
  CHECK(code(world.ask(fetch("c", "me", {{"ack", position_text(cursor(first))}}))) ==
        "bad_request");
  CHECK(code(world.ask(op("ack", with({{"consumer", "d"}, {"client", "me"}},
                                      acked(world, cursor(first)))))) == "unknown_consumer");
  CHECK(text(the_consumer(world), "position") == "00000000000000000000");
  CHECK(world.service->consumers() == 1);
}

TEST_CASE("fetch service: limit and behind") {
  World world;
  world.emit("file.completed", "in", 10);
  Value reply = world.ask(fetch("c", "me", {{"limit", 4}}));
  CHECK(positions(reply).size() == 4);
  CHECK(number(reply, "behind") == 6);
  reply = world.ask(fetch("c", "me", with({{"limit", 6}}, acked(world, cursor(reply)))));
  CHECK(positions(reply).size() == 6);
  CHECK(number(reply, "behind") == 0);
}

TEST_CASE("fetch service: a reply holds 8 MiB, and at least one event") {
  World world;
  const std::string large(3U << 20U, 'x');
  for (int i = 0; i < 4; ++i) world.emit("file.completed", "in", 1, large);
  const Value reply = world.ask(fetch("c", "me"));
  CHECK(positions(reply).size() == 2);
  CHECK(number(reply, "behind") == 2);
  const std::string huge(9U << 20U, 'x');
  const auto last = world.emit("file.removed", "in", 1, huge);
  const Value one = world.ask(fetch("d", "me", {{"types", Value::Array{"file.removed"}}}));
  CHECK(positions(one) == std::vector{last});
}

TEST_CASE("fetch service: a poll waits for what it wants") {
  World world;
  world.emit("file.removed");
  world.send("a", fetch("c", "me", {{"types", Value::Array{"file.completed"}}, {"wait", 30}}));
  world.settle();
  CHECK(!world.take("a"));
  world.pass(10 * kSecond);
  const auto other = world.emit("file.removed");
  world.turn();
  CHECK(!world.take("a"));
  CHECK(*world.service->deadline() == world.now.mono + 20 * kSecond);
  const auto wanted = world.emit();
  world.turn();
  auto reply = world.take("a");
  REQUIRE(reply);
  CHECK(positions(*reply) == std::vector{wanted});
  CHECK(*reply->find("created") == true);

  SUBCASE("its time runs out: the cursor has passed over what did not match") {
    world.send("a", fetch("c", "me", with({{"wait", 0.5}}, acked(world, wanted))));
    world.pass(400 * kMillisecond);
    const auto later = world.emit("file.removed");
    world.turn();
    CHECK(!world.take("a"));
    world.pass(100 * kMillisecond);
    reply = world.take("a");
    REQUIRE(reply);
    CHECK(positions(*reply).empty());
    CHECK(cursor(*reply) == later);
    CHECK(number(*reply, "behind") == 0);
    CHECK(later > other);
  }
  SUBCASE("a newer one of the same client replaces it") {
    world.send("a", fetch("c", "me", with({{"wait", 30}}, acked(world, wanted))));
    world.settle();
    world.send("b", fetch("c", "me", {{"wait", 30}}));
    world.settle();
    reply = world.take("a");
    REQUIRE(reply);
    CHECK(is_ok(*reply));
    CHECK(positions(*reply).empty());
    CHECK(!world.take("b"));
    CHECK(world.service->polls() == 1);
  }
  SUBCASE("it waits no longer than the lease") {
    world.send("a", fetch("c", "me", with({{"wait", 60}, {"lease", 5}}, acked(world, wanted))));
    world.pass(5 * kSecond);
    CHECK(world.take("a"));
  }
}

TEST_CASE("fetch service: one works, the others stand by") {
  World world;
  const auto position = world.emit();
  REQUIRE(is_ok(world.ask(fetch("c", "me", {{"lease", 20}}))));
  const Value standby = world.ask(fetch("c", "other"));
  REQUIRE(standby.find("standby") != nullptr);
  CHECK(standby.find("events") == nullptr);
  CHECK(seconds(*standby.find("standby"), "expires_in") == doctest::Approx(20));
  for (const char* name : {"touch", "release"}) {
    CHECK(code(world.ask(op(name, {{"consumer", "c"}, {"client", "other"}}))) == "not_owner");
  }

  SUBCASE("the lease ends") {
    world.send("b", fetch("c", "other", {{"wait", 30}}));
    world.pass(19 * kSecond);
    CHECK(!world.take("b"));
    world.pass(kSecond);
    const auto reply = world.take("b");
    REQUIRE(reply);
    CHECK(positions(*reply) == std::vector{position});
    CHECK(code(world.ask(owner_op("ack", acked(world, position)))) == "not_owner");
    CHECK(is_ok(world.ask(
        op("ack", with({{"consumer", "c"}, {"client", "other"}}, acked(world, position))))));
  }
  SUBCASE("touch renews it") {
    world.pass(15 * kSecond);
    CHECK(seconds(world.ask(owner_op("touch")), "expires_in") == doctest::Approx(20));
    CHECK(seconds(world.ask(owner_op("touch", {{"lease", 40}})), "expires_in") ==
          doctest::Approx(40));
    world.send("b", fetch("c", "other", {{"wait", 30}}));
    world.pass(30 * kSecond);
    const auto reply = world.take("b");
    REQUIRE(reply);
    CHECK(seconds(*reply->find("standby"), "expires_in") == doctest::Approx(10));
  }
  SUBCASE("release ends it") {
    world.send("b", fetch("c", "other", {{"wait", 30}}));
    world.settle();
    CHECK(is_ok(world.ask(owner_op("release"))));
    const auto reply = world.take("b");
    REQUIRE(reply);
    CHECK(positions(*reply) == std::vector{position});
    CHECK(code(world.ask(owner_op("touch"))) == "not_owner");
  }
  SUBCASE("a lease that has run out is still the owner's until another one comes") {
    world.pass(100 * kSecond);
    CHECK(is_ok(world.ask(owner_op("ack", acked(world, position)))));
    world.pass(100 * kSecond);
    CHECK(world.ask(fetch("c", "other")).find("events") != nullptr);
    CHECK(code(world.ask(owner_op("ack", acked(world, position)))) == "not_owner");
  }
  SUBCASE("a poll keeps the lease, and the time after its reply counts anew") {
    REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, position)))));
    world.send("a", fetch("c", "me", {{"lease", 20}, {"wait", 20}}));
    world.send("b", fetch("c", "other", {{"wait", 60}}));
    world.pass(20 * kSecond);
    CHECK(world.take("a"));
    world.pass(19 * kSecond);
    CHECK(!world.take("b"));
    world.pass(kSecond);
    world.emit();
    world.turn();
    const auto reply = world.take("b");
    REQUIRE(reply);
    CHECK(positions(*reply).size() == 1);
  }
  SUBCASE("who came first is next") {
    world.send("b", fetch("c", "second", {{"wait", 60}}));
    world.send("d", fetch("c", "third", {{"wait", 60}}));
    world.settle();
    CHECK(is_ok(world.ask(owner_op("release"))));
    CHECK(world.take("b"));
    CHECK(!world.take("d"));
  }
}

TEST_CASE("fetch service: types and watches") {
  World world;
  world.emit("file.completed", "in");
  world.emit("file.removed", "in");
  world.emit("file.completed", "input");
  const Value::Map filter{{"types", Value::Array{"file.completed", "file.completed"}},
                          {"watches", Value::Array{"in"}}};
  CHECK(positions(world.ask(fetch("c", "me", filter))).size() == 1);
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 1);
  CHECK(code(world.ask(fetch("c", "me", {{"types", Value::Array{"file.moved"}}}))) ==
        "bad_request");
  CHECK(code(world.ask(fetch("c", "me", {{"watches", Value::Array{}}}))) == "bad_request");
  CHECK(code(world.ask(op("update", {{"consumer", "d"}}))) == "unknown_consumer");

  Value reply = world.ask(op("update", {{"consumer", "c"}, {"watches", Value::Array{}}}));
  CHECK(*reply.find("types") == Value::Array{"file.completed"});
  CHECK(*reply.find("watches") == Value::Array{});
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 2);
  world.restart();
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 2);

  // A poll that waits is looked at anew.
  const Value all = world.ask(fetch("c", "me"));
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, positions(all)[0])))));
  world.ask(op("update", {{"consumer", "c"}, {"types", Value::Array{"directory.completed"}}}));
  world.send("a", fetch("c", "me", {{"wait", 30}}));
  world.settle();
  CHECK(!world.take("a"));
  world.ask(op("update", {{"consumer", "c"}, {"types", Value::Array{}}}));
  const auto woken = world.take("a");
  REQUIRE(woken);
  CHECK(positions(*woken).size() == 2);
}

TEST_CASE("fetch service: where a new consumer starts") {
  World world;
  world.emit();
  const Value now = world.ask(fetch("n", "me", {{"start", "now"}}));
  CHECK(positions(now).empty());
  CHECK(*now.find("created") == true);
  const auto later = world.emit();
  CHECK(positions(world.ask(fetch("n", "me"))) == std::vector{later});
  CHECK(code(world.ask(fetch("x", "me", {{"create", false}}))) == "unknown_consumer");
  CHECK(code(world.ask(fetch("x", "me", {{"start", "soon"}}))) == "bad_request");
  CHECK(positions(world.ask(fetch("o", "me"))).size() == 2);
  // One that is there keeps its place.
  CHECK(positions(world.ask(fetch("o", "me", {{"start", "now"}}))).size() == 2);
}

TEST_CASE("fetch service: failures are kept, passed over, and delivered again") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value first = world.ask(fetch("c", "me"));
  const auto middle = positions(first)[1];
  const Value::Map at_middle{{"stream", world.journal->events().stream()},
                             {"position", position_text(middle)}};
  CHECK(code(world.ask(op("fail", with({{"consumer", "c"}, {"client", "other"}}, at_middle)))) ==
        "not_owner");
  const auto beyond = world.emit();
  CHECK(code(world.ask(owner_op("fail", {{"stream", world.journal->events().stream()},
                                         {"position", position_text(beyond)}}))) == "bad_ack");
  Value reply = world.ask(owner_op("fail", with(at_middle, {{"reason", "no"}, {"tries", 3}})));
  CHECK(number(reply, "failed") == 1);
  CHECK(*reply.find("kept") == true);
  // Again: the newer reason.
  reply = world.ask(owner_op("fail", with(at_middle, {{"reason", "never"}, {"tries", 4}})));
  CHECK(number(reply, "failed") == 1);
  reply = world.ask(owner_op(
      "fail", {{"stream", world.journal->events().stream()}, {"position", position_text(7)}}));
  CHECK(*reply.find("kept") == false);

  reply = world.ask(fetch("c", "me"));
  CHECK(positions(reply) == std::vector{positions(first)[0], positions(first)[2], beyond});
  world.restart();
  reply = world.ask(fetch("c", "me"));
  CHECK(positions(reply) == std::vector{positions(first)[0], positions(first)[2], beyond});
  CHECK(number(the_consumer(world), "failed") == 1);

  reply = world.ask(op("failed", {{"consumer", "c"}}), false);
  REQUIRE(reply.find("failed")->array()->size() == 1);
  const Value& failure = reply.find("failed")->array()->front();
  CHECK(text(failure, "position") == position_text(middle));
  CHECK(text(failure, "reason") == "never");
  CHECK(number(failure, "tries") == 4);
  CHECK(text(*failure.find("event"), "id") == ids(first)[1]);
  CHECK(*reply.find("more") == false);

  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, beyond)))));
  world.send("a", fetch("c", "me", {{"wait", 30}}));
  world.send("b", {{"op", "fetch"},
                   {"after", position_text(beyond)},
                   {"wait", 30},
                   {"stream", world.journal->events().stream()}});
  world.settle();
  CHECK(!world.take("a"));
  reply =
      world.ask(op("retry", {{"consumer", "c"}, {"positions", Value::Array{position_text(5)}}}));
  CHECK(number(reply, "retried") == 0);
  reply = world.ask(op("retry", {{"consumer", "c"}}));
  CHECK(number(reply, "retried") == 1);
  CHECK(*reply.find("more") == false);
  const auto again = world.take("a");
  REQUIRE(again);
  CHECK(ids(*again) == std::vector{ids(first)[1]});
  CHECK(positions(*again)[0] > beyond);
  CHECK(!world.take("b"));  // nobody else's
  CHECK(number(the_consumer(world), "failed") == 0);
  CHECK(ids(world.ask(fetch("d", "me"))).size() == 4);
  // The copy can fail as well.
  reply = world.ask(owner_op("fail", {{"stream", world.journal->events().stream()},
                                      {"position", position_text(positions(*again)[0])}}));
  CHECK(*reply.find("kept") == true);
}

TEST_CASE("fetch service: many failures are listed and retried in parts") {
  World world;
  world.emit("file.completed", "in", 600);
  const Value all = world.ask(fetch("c", "me", {{"limit", 600}}));
  for (const auto position : positions(all)) {
    REQUIRE(is_ok(world.ask(owner_op("fail", {{"stream", world.journal->events().stream()},
                                              {"position", position_text(position)}}))));
  }
  Value reply = world.ask(op("failed", {{"consumer", "c"}, {"limit", 400}}));
  CHECK(reply.find("failed")->array()->size() == 400);
  CHECK(*reply.find("more") == true);
  const std::string last = text(reply.find("failed")->array()->back(), "position");
  reply = world.ask(op("failed", {{"consumer", "c"}, {"limit", 400}, {"after", last}}));
  CHECK(reply.find("failed")->array()->size() == 200);
  CHECK(*reply.find("more") == false);
  reply = world.ask(op("retry", {{"consumer", "c"}}));
  CHECK(number(reply, "retried") == 500);
  CHECK(*reply.find("more") == true);
  reply = world.ask(op("retry", {{"consumer", "c"}}));
  CHECK(number(reply, "retried") == 100);
  CHECK(*reply.find("more") == false);
}

TEST_CASE("fetch service: what failed and is not wanted any more is not delivered to nobody") {
  World world;
  world.emit();
  const auto position = cursor(world.ask(fetch("c", "me")));
  REQUIRE(is_ok(world.ask(owner_op("fail", {{"stream", world.journal->events().stream()},
                                            {"position", position_text(position)}}))));
  world.ask(op("update", {{"consumer", "c"}, {"types", Value::Array{"file.stalled"}}}));
  CHECK(number(world.ask(op("retry", {{"consumer", "c"}})), "retried") == 0);
  CHECK(number(the_consumer(world), "failed") == 1);
  world.ask(op("update", {{"consumer", "c"}, {"types", Value::Array{}}}));
  CHECK(number(world.ask(op("retry", {{"consumer", "c"}})), "retried") == 1);
  CHECK(number(the_consumer(world), "failed") == 0);
}

TEST_CASE("fetch service: seek") {
  World world;
  const auto first = world.emit();
  world.pass_silently(kSecond);
  const Nanos between = world.now.wall;
  world.pass_silently(kSecond);
  const auto second = world.emit();
  world.ask(fetch("c", "me"));
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, second)))));
  const auto seek = [&](const std::string& to) {
    return world.ask(op("seek", {{"consumer", "c"}, {"to", to}}));
  };
  CHECK(is_ok(seek("start")));
  // What was delivered before is nobody's.
  CHECK(code(world.ask(owner_op("ack", acked(world, second)))) == "not_owner");
  CHECK(code(world.ask(fetch("c", "me", acked(world, second)))) == "not_owner");
  CHECK(positions(world.ask(fetch("c", "me", {{"limit", 1}}))) == std::vector{first});
  CHECK(code(world.ask(owner_op("ack", acked(world, second)))) == "bad_ack");
  CHECK(is_ok(seek(rfc3339(between))));
  CHECK(positions(world.ask(fetch("c", "me"))) == std::vector{second});
  CHECK(text(seek(position_text(first)), "position") == position_text(first));
  CHECK(positions(world.ask(fetch("c", "me"))) == std::vector{second});
  CHECK(text(seek("now"), "position") == position_text(second));
  CHECK(positions(world.ask(fetch("c", "me"))).empty());
  CHECK(code(seek(position_text(second + 1))) == "bad_request");
  CHECK(code(seek("yesterday")) == "bad_request");
  CHECK(code(world.ask(op(
            "seek", {{"consumer", "c"}, {"to", position_text(first)}, {"stream", "another"}}))) ==
        "stream_changed");
  // Whoever waits is told.
  world.send("a", fetch("c", "me", {{"wait", 30}}));
  world.send("b", fetch("c", "other", {{"wait", 30}}));
  world.settle();
  CHECK(is_ok(seek("start")));
  const auto refused = world.take("a");
  REQUIRE(refused);
  CHECK(code(*refused) == "not_owner");
  const auto other = world.take("b");
  REQUIRE(other);
  CHECK(positions(*other) == std::vector{first, second});
}

TEST_CASE("fetch service: forget") {
  World world;
  world.emit();
  world.ask(fetch("c", "me"));
  const auto position = cursor(world.ask(fetch("c", "me")));
  REQUIRE(is_ok(world.ask(owner_op("fail", {{"stream", world.journal->events().stream()},
                                            {"position", position_text(position)}}))));
  REQUIRE(number(world.ask(op("retry", {{"consumer", "c"}})), "retried") == 1);
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, cursor(world.ask(fetch("c", "me"))))))));
  world.send("a", fetch("c", "me", {{"wait", 30}}));
  world.send("b", fetch("c", "other", {{"wait", 30}}));
  world.settle();
  CHECK(is_ok(world.ask(op("forget", {{"consumer", "c"}}))));
  CHECK(code(world.take("a").value_or(Value())) == "unknown_consumer");
  CHECK(code(world.take("b").value_or(Value())) == "unknown_consumer");
  CHECK(world.service->polls() == 0);
  CHECK(code(world.ask(op("forget", {{"consumer", "c"}}))) == "unknown_consumer");
  CHECK(code(world.ask(owner_op("ack", acked(world, position)))) == "unknown_consumer");
  // A new one of that name inherits nothing: neither copies made for the old one ...
  CHECK(positions(world.ask(fetch("c", "me"))) == std::vector{position});
  // ... nor its place; an ack of what the old one was given is refused.
  REQUIRE(is_ok(world.ask(op("forget", {{"consumer", "c"}}))));
  CHECK(code(world.ask(fetch("c", "me", acked(world, position)))) == "bad_ack");
  CHECK(world.service->consumers() == 0);
  world.restart();
  CHECK(world.service->consumers() == 0);
}

TEST_CASE("fetch service: reading without a consumer") {
  World world;
  const auto first = world.emit();
  world.pass_silently(kSecond);
  const Nanos between = world.now.wall;
  world.pass_silently(kSecond);
  const auto second = world.emit("file.removed");
  const Value::Map stream{{"stream", world.journal->events().stream()}};
  const auto read = [&](Value::Map more) { return world.ask(op("fetch", std::move(more)), false); };
  CHECK(positions(read({{"after", "0"}})) == std::vector{first, second});
  CHECK(positions(read({{"after", "0"}, {"limit", 1}})) == std::vector{first});
  CHECK(positions(read(with({{"after", position_text(first)}}, stream))) == std::vector{second});
  CHECK(positions(read({{"since", rfc3339(between)}})) == std::vector{second});
  CHECK(positions(read({{"since", "2026-11-22T11:00:00+01:00"}})).size() == 2);
  CHECK(positions(read({{"after", "0"}, {"types", Value::Array{"file.removed"}}})) ==
        std::vector{second});
  CHECK(code(read({{"after", position_text(first)}})) == "bad_request");
  CHECK(code(read({{"after", position_text(first)}, {"stream", "x"}})) == "stream_changed");
  CHECK(code(read({})) == "bad_request");
  CHECK(code(read({{"after", "0"}, {"since", rfc3339(between)}})) == "bad_request");
  CHECK(code(read({{"after", "0"}, {"client", "me"}})) == "bad_request");
  world.send("a", op("fetch", with({{"after", position_text(second)}, {"wait", 5}}, stream)));
  world.settle();
  CHECK(!world.take("a"));
  const auto third = world.emit();
  world.turn();
  CHECK(positions(world.take("a").value_or(Value())) == std::vector{third});
  CHECK(world.service->consumers() == 0);
}

TEST_CASE("fetch service: what is not kept any more is told until it is acked past") {
  World world;
  world.stop();
  world.options.retain_size = 20'000;
  world.start();
  world.emit("file.removed", "in", 1);
  const auto taken = world.emit("file.completed", "in", 1);
  const Value before = world.ask(fetch("c", "me", {{"types", Value::Array{"file.completed"}}}));
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, taken)))));
  CHECK(before.find("lost") == nullptr);
  world.emit("file.removed", "in", 50);
  const auto gone = world.emit("file.completed", "in", 1);
  world.emit("file.removed", "in", 200);
  while (world.journal->tidy(world.now)) {
  }
  REQUIRE(world.journal->events().topics()[2].evicted == gone);
  const auto last = world.emit("file.completed", "in", 1);
  const Value reply = world.ask(fetch("c", "me"));
  CHECK(positions(reply) == std::vector{last});
  REQUIRE(reply.find("lost") != nullptr);
  CHECK(text(*reply.find("lost"), "first") == position_text(taken + 1));
  CHECK(text(*reply.find("lost"), "last") == position_text(gone));
  CHECK(the_consumer(world).find("lost") != nullptr);
  CHECK(world.ask(fetch("c", "me")).find("lost") != nullptr);
  CHECK(world.ask(fetch("c", "me", acked(world, last))).find("lost") == nullptr);
  // A new consumer is told of what was there before it.
  CHECK(world.ask(fetch("new", "me")).find("lost") != nullptr);
  CHECK(world.ask(fetch("newer", "me", {{"start", "now"}})).find("lost") == nullptr);
}

TEST_CASE("fetch service: bad requests") {
  World world;
  const auto raw = [&](std::string_view body) {
    world.service->on_request({"asker"}, body, true, world.now);
    world.settle();
    return world.take("asker").value_or(Value());
  };
  CHECK(code(raw("")) == "bad_request");
  CHECK(code(raw("\xc1")) == "bad_request");
  CHECK(code(raw("garbage")) == "bad_request");
  CHECK(code(raw(encode_value(Value(Value::Array{})))) == "bad_request");
  // Text that is no UTF-8: {"op": "fetch", "consumer": "c", "client": "\xff"}.
  CHECK(code(raw("\x83\xa2op\xa5"
                 "fetch\xa8"
                 "consumer\xa1"
                 "c\xa6"
                 "client\xa1\xff")) == "bad_request");
  CHECK(code(raw(std::string(kMaxBody + 1, '\x90'))) == "too_large");
  CHECK(code(world.ask({})) == "bad_request");
  CHECK(code(world.ask({{"op", 7}})) == "bad_request");
  CHECK(code(world.ask({{"op", "explode"}})) == "unknown_op");
  CHECK(code(world.ask({{"op", "hello"}, {"request", 1.5}})) == "bad_request");
  CHECK(code(world.ask({{"op", "hello"}, {"request", std::string(65, 'x')}})) == "bad_request");
  CHECK(number(world.ask({{"op", "explode"}, {"request", 3}}), "request") == 3);
  const std::vector<Value::Map> bad{
      op("hello", {{"consumer", "c"}}),
      fetch("c", "me", {{"type", Value::Array{"file.completed"}}}),
      fetch("", "me"),
      fetch("-c", "me"),
      fetch("a/b", "me"),
      fetch(std::string(65, 'c'), "me"),
      fetch("c", ""),
      fetch("c", std::string(65, 'm')),
      {{"op", "fetch"}, {"consumer", "c"}},
      {{"op", "fetch"}, {"consumer", 7}, {"client", "me"}},
      fetch("c", "me", {{"limit", 0}}),
      fetch("c", "me", {{"limit", 4097}}),
      fetch("c", "me", {{"limit", "many"}}),
      fetch("c", "me", {{"wait", -1}}),
      fetch("c", "me", {{"wait", 61}}),
      fetch("c", "me", {{"wait", std::nan("")}}),
      fetch("c", "me", {{"lease", 0.5}}),
      fetch("c", "me", {{"lease", 3601}}),
      fetch("c", "me", {{"types", "file.completed"}}),
      fetch("c", "me", {{"types", Value::Array{1}}}),
      fetch("c", "me", {{"types", Value::Array{"file/completed"}}}),
      fetch("c", "me", {{"types", Value::Array{"file.complete"}}}),
      fetch("c", "me", {{"watches", Value::Array{"../in"}}}),
      op("fetch", {{"after", "0"}, {"types", Value::Array{"file"}}}),
      op("update", {{"consumer", "c"}, {"types", Value::Array{"files.completed"}}}),
      fetch("c", "me", {{"types", Value::Array(257, Value("a"))}}),
      fetch("c", "me", {{"create", "no"}}),
      fetch("c", "me", with({{"after", "0"}}, {})),
      fetch("c", "me", {{"stream", world.journal->events().stream()}, {"ack", 17}}),
      fetch("c", "me", {{"stream", world.journal->events().stream()}, {"ack", "17"}}),
      fetch("c", "me",
            {{"stream", world.journal->events().stream()}, {"ack", "99999999999999999999"}}),
      op("fetch", {{"since", "yesterday"}}),
      op("fetch", {{"since", "2026-13-01T00:00:00Z"}}),
      owner_op("ack", {{"stream", world.journal->events().stream()}}),
      op("seek", {{"consumer", "c"}}),
      op("retry", {{"consumer", "c"}, {"positions", "all"}}),
      op("status", {{"verbose", true}}),
  };
  for (const Value::Map& request : bad) {
    INFO(to_json(Value(request)));
    CHECK(code(world.ask(request)) == "bad_request");
  }
  CHECK(world.service->consumers() == 0);
}

TEST_CASE("fetch service: what cannot be answered is counted") {
  World world;
  const std::string hello = encode_value(Value::Map{{"op", "hello"}});
  world.service->on_request({}, hello, true, world.now);
  world.service->on_request(Route(17, "x"), hello, true, world.now);
  world.service->on_request({"p", std::string(5000, 'x')}, hello, true, world.now);
  world.settle();
  CHECK(world.replies.empty());
  CHECK(world.service->malformed() == 3);
  world.service->on_request(Route(16, "x"), hello, true, world.now);
  world.settle();
  CHECK(world.replies.size() == 1);
}

TEST_CASE("fetch service: a key that may read only changes nothing") {
  World world;
  world.emit();
  const Value::Map mine{{"consumer", "c"}, {"client", "me"}};
  for (const char* name :
       {"ack", "touch", "release", "update", "fail", "retry", "seek", "forget"}) {
    CHECK(code(world.ask(op(name, mine), false)) == "not_allowed");
  }
  CHECK(code(world.ask(fetch("c", "me"), false)) == "not_allowed");
  for (const char* name : {"hello", "consumers", "status"})
    CHECK(is_ok(world.ask(op(name), false)));
  CHECK(world.service->consumers() == 0);
}

TEST_CASE("fetch service: status") {
  World world;
  world.emit();
  world.ask(fetch("c", "me"));
  world.service->fill_status_with([](Value::Map& status) { status.emplace_back("more", 1); });
  const Value reply = world.ask(op("status"));
  CHECK(*reply.find("ready") == true);
  CHECK(number(*reply.find("journal"), "kept") == 1);
  CHECK(number(reply, "consumers") == 1);
  CHECK(number(reply, "more") == 1);
  CHECK(text(*reply.find("journal"), "path") == world.path());
}

TEST_CASE("fetch service: polls and consumers are bounded") {
  World world;
  for (std::size_t i = 0; i < kMaxPolls; ++i) {
    world.send("p", op("fetch", {{"after", "0"}, {"wait", 60}}));
    if (!world.service->has_room()) world.turn();
  }
  world.settle();
  CHECK(world.service->polls() == kMaxPolls);
  CHECK(code(world.ask(op("fetch", {{"after", "0"}, {"wait", 1}}))) == "busy");
  CHECK(is_ok(world.ask(op("fetch", {{"after", "0"}}))));  // one that does not wait
  world.emit();
  world.settle();
  CHECK(world.service->polls() == 0);
  CHECK(world.replies.size() == kMaxPolls);
}

TEST_CASE("fetch service: a long log of other things is passed over in slices") {
  World world;
  for (int i = 0; i < 30; ++i) world.emit("file.removed", "in", 1000);
  const auto last = world.emit();
  world.send("a", fetch("c", "me", {{"types", Value::Array{"file.completed"}}}));
  world.send("b", op("fetch", {{"after", "0"}, {"limit", 1}}));
  world.turn();
  CHECK(world.replies.empty());
  CHECK(*world.service->deadline() <= world.now.mono);
  world.turn();
  CHECK(world.take("b"));  // is not held up until the other one is done
  int turns = 2;
  while (world.replies.empty() && turns < 100) {
    world.turn();
    ++turns;
  }
  CHECK(turns > 2);
  CHECK(turns < 8);
  CHECK(positions(world.take("a").value_or(Value())) == std::vector{last});
  // What was passed over is remembered.
  world.send("a", fetch("c", "me"));
  world.turn();
  CHECK(positions(world.take("a").value_or(Value())) == std::vector{last});
}

TEST_CASE("fetch service: over a restart") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value first = world.ask(fetch("c", "me", {{"lease", 20}}));
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, positions(first)[0])))));
  world.restart();
  // The owner has one full lease again.
  Value reply = world.ask(fetch("c", "other"));
  REQUIRE(reply.find("standby") != nullptr);
  CHECK(seconds(*reply.find("standby"), "expires_in") == doctest::Approx(20));
  CHECK(text(the_consumer(world), "position") == position_text(positions(first)[0]));

  SUBCASE("what was delivered before can be acked") {
    CHECK(is_ok(world.ask(owner_op("ack", acked(world, positions(first)[2])))));
    CHECK(positions(world.ask(fetch("c", "me"))).empty());
  }
  SUBCASE("what was not, comes again") {
    CHECK(positions(world.ask(fetch("c", "me"))).size() == 2);
  }
  SUBCASE("nothing is acked that came after the start and was not delivered") {
    const auto later = world.emit();
    CHECK(code(world.ask(owner_op("ack", acked(world, later)))) == "bad_ack");
  }
  SUBCASE("another one takes over") {
    world.pass(20 * kSecond);
    CHECK(positions(world.ask(fetch("c", "other"))).size() == 2);
    CHECK(code(world.ask(owner_op("ack", acked(world, positions(first)[2])))) == "not_owner");
  }
}

TEST_CASE("fetch service: after a power cut no event is acked by an old ack") {
  World world;
  world.emit("file.completed", "in", 2);
  world.ask(fetch("c", "me"));
  world.ask(fetch("d", "me"));
  world.stop();
  world.save();
  world.pass_silently(kSecond);
  world.start();
  world.emit("file.completed", "in", 5);
  const Value lost = world.ask(fetch("c", "me"));
  REQUIRE(positions(lost).size() == 7);
  const Value made_since = world.ask(fetch("e", "me"));
  world.stop();
  world.rewind();
  world.pass_silently(kSecond);
  world.start();
  const auto again = world.emit("file.completed", "in", 5);
  CHECK(again > cursor(lost));
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, cursor(lost))))));
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 5);
  CHECK(positions(world.ask(fetch("d", "me"))).size() == 7);
  // A consumer that the cut has taken back altogether.
  const Value remade = world.ask(fetch("e", "me", acked(world, cursor(made_since))));
  CHECK(*remade.find("created") == true);
  CHECK(positions(remade).size() == 5);
}

TEST_CASE("fetch service: no room on the disk") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value first = world.ask(fetch("c", "me", {{"limit", 1}}));
  FullDisk full(*world.journal, "consumers");
  CHECK(code(world.ask(owner_op("ack", acked(world, cursor(first))))) == "busy");
  CHECK(code(world.ask(fetch("c", "me", acked(world, cursor(first))))) == "busy");
  CHECK(code(world.ask(fetch("new", "me"))) == "busy");
  CHECK(code(world.ask(owner_op("release"))) == "busy");
  CHECK(code(world.ask(op("seek", {{"consumer", "c"}, {"to", "now"}}))) == "busy");
  CHECK(code(world.ask(op("update", {{"consumer", "c"}, {"types", Value::Array{"file.moved"}}}))) ==
        "busy");
  CHECK(world.service->consumers() == 1);
  CHECK(world.service->polls() == 0);
  // A poll that came with an ack is told as well; one without goes on.
  world.send("a", fetch("c", "me", with({{"wait", 30}}, acked(world, cursor(first)))));
  world.settle();
  CHECK(code(world.take("a").value_or(Value())) == "busy");
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 3);
  CHECK(text(the_consumer(world), "position") == position_text(0));
  full.end();
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, cursor(first))))));
  world.restart();
  CHECK(text(the_consumer(world), "position") == position_text(cursor(first)));
}

TEST_CASE("fetch service: while the journal waits for room nothing is passed over") {
  World world;
  world.emit("file.completed", "in", 2);
  const Value first = world.ask(fetch("c", "me"));
  FullDisk full(*world.journal, "events");
  world.emit();  // stays with the journal
  REQUIRE(world.journal->blocked());
  const auto there = positions(first).back();
  const Value again = world.ask(fetch("c", "me"));
  CHECK(positions(again) == positions(first));
  CHECK(cursor(again) == there);
  CHECK(code(world.ask(owner_op("ack", acked(world, there)))) == "busy");
  CHECK(code(world.ask(fetch("new", "me", {{"start", "now"}}))) == "busy");
  CHECK(code(world.ask(op("forget", {{"consumer", "c"}}))) == "busy");
  world.send("a", op("fetch", {{"after", position_text(there)},
                               {"stream", world.journal->events().stream()},
                               {"wait", 30}}));
  world.settle();
  CHECK(!world.take("a"));
  full.end();
  REQUIRE(world.journal->retry({}, [](std::string_view, std::string_view) {}));
  world.turn();
  CHECK(positions(world.take("a").value_or(Value())).size() == 1);
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, there)))));
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 1);
}

TEST_CASE("fetch service: failures that cannot be kept are not passed over") {
  World world;
  world.emit("file.completed", "in", 2);
  const Value first = world.ask(fetch("c", "me"));
  const Value::Map failure{{"stream", world.journal->events().stream()},
                           {"position", position_text(positions(first)[0])}};
  {
    FullDisk full(*world.journal, "failures");
    CHECK(code(world.ask(owner_op("fail", failure))) == "busy");
    CHECK(positions(world.ask(fetch("c", "me"))).size() == 2);
  }
  REQUIRE(is_ok(world.ask(owner_op("fail", failure))));
  const auto count = world.journal->events().count();
  const auto last = world.journal->events().last_position();
  {
    FullDisk full(*world.journal, "events");
    CHECK(code(world.ask(op("retry", {{"consumer", "c"}}))) == "busy");
    CHECK(world.journal->events().count() == count);
    CHECK(world.journal->events().last_position() == last);
    CHECK(number(the_consumer(world), "failed") == 1);
  }
  CHECK(number(world.ask(op("retry", {{"consumer", "c"}})), "retried") == 1);
}

// Several clients do whatever comes to their minds; a model keeps what each event's fate must be.
// Restarts and power cuts (of the last moments) included.
TEST_CASE("fetch service: nothing is lost, whatever clients, restarts and power cuts do") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    World world;
    const std::vector<std::string> clients{"ann", "bob", "eve"};
    struct Hand {
      std::uint64_t cursor = 0;
      std::set<std::uint64_t> positions;
    };
    std::map<std::string, Hand> hands;         // what each was given last
    std::map<std::uint64_t, std::string> log;  // of the type it wants: position -> id
    std::set<std::string> done;                // worked on, by anybody
    std::map<std::uint64_t, std::string> failed;
    std::uint64_t position = 0;  // acked
    const auto collect = [&] {
      log.clear();
      world.journal->events().read(0, [&](const EventLog::Entry& entry) {
        const Event event = decode(entry.body);
        if (event.type == "file.completed") log[entry.position] = event.id;
        return true;
      });
    };
    const auto take_in = [&](const std::string& client, const Value& reply) {
      if (!is_ok(reply) || reply.find("events") == nullptr) return;
      Hand& hand = hands[client];
      hand = {};
      hand.cursor = cursor(reply);
      REQUIRE(hand.cursor >= position);
      std::uint64_t last = position;
      for (const auto given : positions(reply)) {
        REQUIRE(given > last);  // in order, and nothing that is done
        last = given;
        hand.positions.insert(given);
        REQUIRE(!failed.contains(given));
      }
      // Everything up to the cursor that is not acked and has not failed is there.
      collect();
      for (auto entry = log.upper_bound(position); entry != log.end(); ++entry) {
        if (entry->first > hand.cursor) break;
        INFO(entry->first);
        // One that failed may be left out when a copy of it comes later.
        const bool comes_again = std::any_of(std::next(entry), log.end(), [&](const auto& later) {
          return later.second == entry->second;
        });
        REQUIRE((hand.positions.contains(entry->first) || failed.contains(entry->first) ||
                 comes_again));
      }
    };
    bool saved = false;
    std::uint64_t saved_position = 0;
    std::map<std::uint64_t, std::string> saved_failed;
    for (int step = 0; step < 120; ++step) {
      const std::string& client = clients[below(3)];
      Hand& hand = hands[client];
      switch (below(12)) {
        case 0:
        case 1:
          world.emit(below(3) == 0 ? "file.removed" : "file.completed", "in",
                     1 + static_cast<int>(below(5)));
          break;
        case 2:
        case 3:
        case 4: {
          Value::Map more{{"limit", static_cast<std::int64_t>(1 + below(6))},
                          {"lease", static_cast<std::int64_t>(1 + below(20))}};
          if (position == 0 && hands.empty()) {
            more.emplace_back("types", Value::Array{"file.completed"});
          }
          const auto ack = hand.cursor;
          if (ack > 0 && below(2) == 0) {
            more = with(std::move(more), acked(world, ack));
            const Value reply = world.ask(fetch("c", client, more));
            if (code(reply).empty()) {
              for (const auto each : hand.positions) done.insert(log[each]);
              position = std::max(position, ack);
            } else {
              hand = {};
            }
            take_in(client, reply);
          } else {
            if (world.service->consumers() == 0) {
              more.emplace_back("types", Value::Array{"file.completed"});
            }
            take_in(client, world.ask(fetch("c", client, more)));
          }
          break;
        }
        case 5: {
          if (hand.cursor == 0) break;
          const Value reply = world.ask(
              op("ack", with({{"consumer", "c"}, {"client", client}}, acked(world, hand.cursor))));
          if (is_ok(reply)) {
            for (const auto each : hand.positions) done.insert(log[each]);
            position = std::max(position, hand.cursor);
          } else {
            hand = {};
          }
          break;
        }
        case 6: {
          if (hand.positions.empty()) break;
          const auto chosen = *hand.positions.begin();
          const Value reply = world.ask(op("fail", {{"consumer", "c"},
                                                    {"client", client},
                                                    {"stream", world.journal->events().stream()},
                                                    {"position", position_text(chosen)}}));
          if (is_ok(reply) && *reply.find("kept") == true) {
            failed[chosen] = log[chosen];
            hand.positions.erase(chosen);
            saved = false;  // it is on the disk: no power cut goes back before it
          }
          break;
        }
        case 7: {
          const Value reply = world.ask(op("retry", {{"consumer", "c"}}));
          if (is_ok(reply)) {
            CHECK(number(reply, "retried") == static_cast<std::int64_t>(failed.size()));
            failed.clear();
          }
          break;
        }
        case 8:
          world.pass(static_cast<Nanos>(below(30)) * kSecond);
          break;
        case 9:
          world.restart(static_cast<Nanos>(below(30)) * kSecond);
          break;
        case 10:
          if (below(3) == 0) {
            world.stop();
            world.save();
            saved = true;
            saved_position = position;
            saved_failed = failed;
            world.pass_silently(kSecond);
            world.start();
          }
          break;
        case 11:
          if (saved && below(3) == 0) {
            world.stop();
            world.rewind();
            world.pass_silently(kSecond);
            world.start();
            position = saved_position;
            failed = saved_failed;
            collect();
            // What only the lost log knew is not asked for here; what it says must not be believed.
            for (auto& [name, each] : hands) {
              std::erase_if(each.positions, [&](std::uint64_t at) { return !log.contains(at); });
            }
          }
          break;
      }
    }
    // In the end one of them does all that is left.
    world.pass(100 * kSecond);
    if (world.service->consumers() == 0) continue;
    REQUIRE(is_ok(world.ask(op("retry", {{"consumer", "c"}}))));
    failed.clear();
    Value::Map more;
    while (true) {
      const Value reply = world.ask(fetch("c", "ann", more));
      REQUIRE(is_ok(reply));
      take_in("ann", reply);
      if (positions(reply).empty()) break;
      for (const auto each : hands["ann"].positions) done.insert(log[each]);
      more = acked(world, cursor(reply));
      position = cursor(reply);
    }
    collect();
    for (const auto& entry : log) {
      INFO(entry.first);
      CHECK(done.contains(entry.second));
    }
  }
}

TEST_CASE("a fetch that does not wait is not told of nothing while a state is under way") {
  World world;
  world.emit();
  world.send("a", fetch("c", "client", {{"start", "state"}}));
  world.turn();
  // There are no files: that is told at the end of the state, not at its beginning.
  CHECK_FALSE(world.take("a"));
  world.settle();
  const auto reply = world.take("a");
  REQUIRE(reply);
  CHECK(*reply->find("behind") == Value(0));
  CHECK(reply->find("events")->array()->empty());
}

TEST_CASE("who stands by and releases waits no more") {
  World world;
  world.emit();
  REQUIRE(world.ask(fetch("c", "first")).find("standby") == nullptr);
  world.send("a", fetch("c", "second", {{"wait", 30}}));
  world.settle();
  REQUIRE_FALSE(world.take("a"));
  const Value reply = world.ask(op("release", {{"consumer", "c"}, {"client", "second"}}));
  CHECK(*reply.find("ok") == Value(true));
  const auto standby = world.take("a");
  REQUIRE(standby);
  CHECK(standby->find("standby") != nullptr);
  // The owner still is the owner, and whoever comes next is not behind one who has left.
  CHECK(*world.ask(op("release", {{"consumer", "c"}, {"client", "first"}})).find("ok") ==
        Value(true));
  CHECK(world.ask(fetch("c", "third")).find("standby") == nullptr);
}

TEST_CASE("fetch: an update holds for what is in hand; an ack does not pass over it") {
  World world;
  const Value::Map worker{{"op", "fetch"}, {"consumer", "c"}, {"client", "x"}};
  Value::Map first = worker;
  first.emplace_back("watches", Value::Array{"in"});
  REQUIRE(is_ok(world.ask(first)));
  const auto before = world.emit("file.completed", "in");
  const auto other = world.emit("file.completed", "b");
  world.emit("file.completed", "in");
  const Value batch = world.ask(worker);
  REQUIRE(batch.find("events")->array()->size() == 2);
  REQUIRE(is_ok(world.ask({{"op", "update"}, {"consumer", "c"}, {"watches", Value::Array()}})));
  const auto ack = [&](const Value& position) {
    return world.ask({{"op", "ack"},
                      {"consumer", "c"},
                      {"client", "x"},
                      {"stream", world.journal->events().stream()},
                      {"ack", position}});
  };
  CHECK(code(ack(*batch.find("cursor"))) == "bad_ack");
  CHECK(is_ok(ack(position_text(before))));
  const Value again = world.ask(worker);
  REQUIRE(again.find("events")->array()->size() == 2);
  CHECK(*again.find("events")->array()->at(0).find("sequence")->text() == position_text(other));
  CHECK(is_ok(ack(*again.find("cursor"))));
}

TEST_CASE("fetch: what an update made doubtful stays so over a restart") {
  World world;
  REQUIRE(is_ok(world.ask(fetch("c", "me", {{"watches", Value::Array{"in"}}}))));
  const auto before = world.emit("file.completed", "in");
  world.emit("file.completed", "b");
  world.emit("file.completed", "in");
  const Value batch = world.ask(fetch("c", "me"));
  REQUIRE(is_ok(world.ask(op("update", {{"consumer", "c"}, {"watches", Value::Array()}}))));
  world.restart();
  CHECK(code(world.ask(owner_op("ack", acked(world, cursor(batch))))) == "bad_ack");
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, before)))));
  const Value again = world.ask(fetch("c", "me"));
  CHECK(positions(again).size() == 2);
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, cursor(again))))));
  // That is over: as after any start.
  const auto last = world.emit("file.completed", "b");
  world.ask(fetch("c", "me"));
  world.restart();
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, last)))));
}

TEST_CASE("fetch: what a seek brings back is not acked by an old ack, after a restart either") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value batch = world.ask(fetch("c", "me"));
  REQUIRE(is_ok(world.ask(owner_op("ack", acked(world, cursor(batch))))));
  REQUIRE(is_ok(world.ask(op("seek", {{"consumer", "c"}, {"to", "start"}}))));
  world.ask(fetch("c", "me", {{"limit", 1}}));
  world.restart();
  CHECK(code(world.ask(owner_op("ack", acked(world, cursor(batch))))) == "bad_ack");
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 3);
  CHECK(is_ok(world.ask(owner_op("ack", acked(world, cursor(batch))))));
}

TEST_CASE("fetch: a consumer made anew does not take acks of the one before it") {
  World world;
  world.emit("file.completed", "in", 3);
  const Value batch = world.ask(fetch("c", "me"));
  world.restart();
  REQUIRE(is_ok(world.ask(op("forget", {{"consumer", "c"}}))));
  world.ask(fetch("c", "me", {{"limit", 1}}));
  CHECK(code(world.ask(owner_op("ack", acked(world, cursor(batch))))) == "bad_ack");
  CHECK(positions(world.ask(fetch("c", "me"))).size() == 3);
}
