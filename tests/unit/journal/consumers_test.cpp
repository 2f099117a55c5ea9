#include "journal/consumers.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/hex.hpp"
#include "journal/snapshot.hpp"
#include "serve/request.hpp"
#include "support/fetch_world.hpp"
#include "support/kept_journal.hpp"
#include "wire/codec.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

struct World : KeptJournal, FetchWorld {
  World() : FetchWorld(KeptJournal::path()) {}

  void run(const std::string& sql) { journal->database()->run(sql.c_str()); }

  /// Everything that is there for a consumer, acked batch by batch.
  std::vector<Value> drain(const std::string& name, Value::Map more = {}) {
    std::vector<Value> events;
    int empty = 0;  // the state may still be on its way into the log
    while (empty < 2) {
      Value::Map request{{"op", "fetch"}, {"consumer", name}, {"client", "me"}};
      for (const auto& argument : more) request.push_back(argument);
      const Value reply = ask(request);
      REQUIRE(reply.find("events") != nullptr);
      const Value::Array& batch = *reply.find("events")->array();
      events.insert(events.end(), batch.begin(), batch.end());
      more = {{"stream", journal->events().stream()}, {"ack", *reply.find("cursor")}};
      empty = batch.empty() ? empty + 1 : 0;
      pass_silently(kSecond);
    }
    return events;
  }
};

std::string text(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  return found == nullptr || found->text() == nullptr ? "" : *found->text();
}

}  // namespace

TEST_CASE("topic filter: both names must be admitted whole") {
  const TopicFilter both({{"file.completed"}, {"in"}});
  CHECK(both.wants("file.completed/in/"));
  CHECK(!both.wants("file.completed/input/"));
  CHECK(!both.wants("file.complete/in/"));
  CHECK(!both.wants("file.removed/in/"));
  CHECK(TopicFilter().wants("anything/at-all/"));
  CHECK(TopicFilter({{}, {"a", "b"}}).wants("x/b/"));
  CHECK(!TopicFilter({{}, {"a", "b"}}).wants("x/c/"));
}

TEST_CASE("requests: positions") {
  CHECK(parse_position("0") == 0);
  CHECK(parse_position("00000000000000000017") == 17);
  CHECK(parse_position("09223372036854775807") == 9223372036854775807U);
  for (const char* bad :
       {"", "17", "09223372036854775808", "99999999999999999999", "0000000000000000001x",
        "-0000000000000000001", "000000000000000000001"}) {
    CHECK(!parse_position(bad));
  }
}

TEST_CASE("consumers: what flush() wrote is there after a restart") {
  KeptJournal kept;
  FetchWorld world(kept.path());
  const auto first = world.emit();
  const auto second = world.emit();
  std::uint32_t id = 0;
  {
    Consumers consumers(*world.journal, 0);
    StoredConsumer& consumer = consumers.add("c");
    consumer.filter = TopicFilter({{"file.completed"}, {"in", "out"}});
    consumer.kept.position = first - 1;
    consumer.kept.created = 5;
    consumer.kept.seen = 6;
    consumer.kept.owner = "me";
    consumer.kept.lease = 7;
    consumer.kept.snapshot = Snapshot::beginning();
    REQUIRE(consumers.flush([](StoredConsumer&) {}));
    id = consumer.id;
    CHECK(id > 0);
    CHECK(!consumers.has_changes());
    bool is_kept = false;
    REQUIRE(consumers.fail(consumer, {second, 9, 2, "why", ""}, is_kept));
    CHECK(is_kept);
    consumers.change(consumer);
    consumer.kept.position = 1;  // never flushed
  }
  Consumers consumers(*world.journal, 100);
  REQUIRE(consumers.size() == 1);
  StoredConsumer* consumer = consumers.find("c");
  REQUIRE(consumer != nullptr);
  CHECK(consumer->id == id);
  CHECK(consumer->kept.position == first - 1);
  CHECK(consumer->filter.filter() == EventFilter{{"file.completed"}, {"in", "out"}});
  CHECK(consumer->kept.created == 5);
  CHECK(consumer->kept.seen == 6);
  CHECK(consumer->kept.owner == "me");
  CHECK(consumer->kept.lease == 7);
  CHECK(consumer->expires == 107);
  CHECK(consumer->kept.snapshot == Snapshot::beginning());
  CHECK(consumer->failed == std::set{second});
  CHECK(consumers.behind(*consumer, first) == 1);
  CHECK(consumers.behind(*consumer, 0) == 2);
  int shown = 0;
  consumers.failures(*consumer, 0, [&](const Consumers::Failure& failure) {
    CHECK(failure.position == second);
    CHECK(failure.time == 9);
    CHECK(failure.tries == 2);
    CHECK(failure.reason == "why");
    CHECK(decode(failure.body).sequence == position_text(second));
    return ++shown > 0;
  });
  CHECK(shown == 1);
  REQUIRE(consumers.forget(*consumer));
  CHECK(consumers.find("c") == nullptr);
  // An id is never given twice.
  StoredConsumer& next = consumers.add("c");
  REQUIRE(consumers.flush([](StoredConsumer&) {}));
  CHECK(next.id > id);
  CHECK(next.failed.empty());
}

TEST_CASE("consumers: when they were seen is written now and then only") {
  World world;
  world.emit();
  world.drain("c");
  const auto seen = [&] { return world.journal->database()->number("SELECT seen FROM consumers"); };
  const auto changes = [&] { return world.journal->database()->number("SELECT total_changes()"); };
  const auto before = seen();
  const auto writes = changes();
  for (int i = 0; i < 50; ++i) {
    world.pass_silently(10 * kSecond);
    world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}});
  }
  CHECK(changes() == writes);
  CHECK(seen() == before);
  world.pass_silently(200 * kSecond);
  world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}});
  CHECK(seen() == world.now.wall);
  CHECK(changes() == writes + 1);
}

TEST_CASE("state: every announced file once, under its id, and then what happens") {
  World world;
  world.emit("file.completed", "in", 3);
  world.run(
      "INSERT INTO watches(id, name, root, seen) VALUES (3,'in',CAST('/srv/in' AS BLOB),0),"
      "(5,'other',CAST('/srv/other' AS BLOB),0),(7,'gone',CAST('/srv/gone' AS BLOB),0)");
  const auto configure = [&] {
    world.journal->open_watch("in", "", "/srv/in");
    world.journal->open_watch("other", "", "/srv/other");
  };
  configure();
  world.run(
      "INSERT INTO directories(watch, id, parent, name, inode, btime, mounted) VALUES"
      "(3,1,0,CAST('a' AS BLOB),0,0,0),(3,2,1,CAST('b' AS BLOB),0,0,0),"
      "(3,9,8,CAST('stray' AS BLOB),0,0,0)");
  const auto file = [&](int watch, int dir, const std::string& name, int state,
                        const std::string& event) {
    world.run(
        "INSERT INTO files(watch, directory, name, inode, size, mtime, ctime, birth, "
        "path_hash, tie, state, event) VALUES(" +
        std::to_string(watch) + "," + std::to_string(dir) + ",CAST('" + name +
        "' AS BLOB),11,22,33,0,0,0,4," + std::to_string(state) + "," + event + ")");
  };
  file(3, 0, "top", 0, "x'00112233445566778899aabbccddeeff'");
  file(3, 0, "stalled.part", 2, "NULL");
  file(3, 2, "deep", 0, "NULL");
  file(3, 9, "nowhere", 0, "NULL");
  for (int i = 0; i < 1200; ++i) file(3, 1, "f" + std::to_string(i), 0, "NULL");
  file(5, 0, "elsewhere", 0, "NULL");
  file(7, 0, "not-watched-any-more", 0, "NULL");

  SUBCASE("all of them, also over restarts") {
    Value reply = world.ask(
        {{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}, {"start", "state"}, {"limit", 1}});
    CHECK(*reply.find("created") == true);
    world.emit("file.removed", "in", 1);
    world.restart();
    configure();
    std::set<std::string> paths;
    std::size_t removed = 0;
    std::vector<Value> events;
    for (int i = 0; i < 2; ++i) {
      const auto some = world.drain("c");
      events.insert(events.end(), some.begin(), some.end());
      world.restart();
      configure();
    }
    for (const Value& event : events) {
      if (text(event, "type") == "file.removed") {
        ++removed;
        continue;
      }
      const Value& data = *event.find("data");
      CHECK(text(event, "type") == "file.completed");
      CHECK(paths.insert(text(data, "path")).second);
      CHECK(text(data, "evidence") == "scan");
      CHECK(text(data, "origin") == "startup");
      CHECK(event.find("prevsequence") == nullptr);
      if (text(data, "path") == "/srv/in/top") {
        CHECK(text(event, "id") == "00112233445566778899aabbccddeeff");
        CHECK(*data.find("size") == 22);
        CHECK(text(data, "inode") == "11");
      }
      if (text(data, "path") == "/srv/in/a/b/deep") {
        Stat stat;
        stat.inode = 11;
        stat.size = 22;
        stat.mtime = 33;
        CHECK(text(event, "id") ==
              hex(EventLog::file_id("file.completed", "in", "a/b/deep", stat, 4)));
      }
    }
    CHECK(removed == 1);
    CHECK(paths.size() == 1203);
    CHECK(paths.contains("/srv/in/a/f1199"));
    CHECK(paths.contains("/srv/in/a/b/deep"));
    CHECK(paths.contains("/srv/other/elsewhere"));
    // Nobody else sees them.
    CHECK(world.drain("d").size() == 4);
  }
  SUBCASE("those of the watches that are wanted") {
    CHECK(world.drain("c", {{"start", "state"}, {"watches", Value::Array{"other"}}}).size() == 1);
    CHECK(world.drain("d", {{"start", "state"}, {"types", Value::Array{"file.removed"}}}).empty());
  }
  SUBCASE("no longer after a seek") {
    world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}, {"start", "state"}});
    world.ask({{"op", "seek"}, {"consumer", "c"}, {"to", "now"}});
    CHECK(world.drain("c").empty());
  }
  SUBCASE("a full disk puts it off") {
    world.ask({{"op", "hello"}});
    sqlite::Database& database = *world.journal->database();
    const auto place = world.journal->events().mark();
    world.run("CREATE TABLE ballast(b)");
    world.run("PRAGMA max_page_count = " + std::to_string(database.number("PRAGMA page_count")));
    world.run(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN INSERT INTO ballast "
        "VALUES(zeroblob(10000000)); END");
    const Value early =
        world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}, {"start", "state"}});
    CHECK(early.is_nil());
    world.pass(kSecond);
    // It is not said that there is nothing, only that it is not there yet.
    const auto reply = world.take("asker");
    REQUIRE(reply);
    CHECK(reply->find("events")->array()->empty());
    CHECK(*reply->find("behind") == Value(1));
    CHECK(world.journal->events().mark().position == place.position);
    CHECK(world.journal->events().count() == place.number);
    world.run("DROP TRIGGER temp.full");
    world.run("PRAGMA max_page_count = 1073741823");
    world.pass_silently(kSecond);
    CHECK(world.drain("c").size() == 1203);
  }
}
