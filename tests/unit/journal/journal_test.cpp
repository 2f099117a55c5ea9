#include "journal/journal.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "inotifier/wire.hpp"
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

struct Seen {
  std::uint64_t position;
  std::uint64_t number;
  std::uint32_t consumer;
  std::string body;
};

std::vector<Seen> all(Journal& journal, std::uint64_t after = 0) {
  std::vector<Seen> seen;
  journal.events().read(after, [&](const EventLog::Entry& entry) {
    seen.push_back({entry.position, entry.number, entry.consumer, std::string(entry.body)});
    return true;
  });
  return seen;
}

std::string refusal(const std::string& path) {
  JournalOptions options;
  options.path = path;
  try {
    const Journal journal(options, Now());
  } catch (const SetupError& error) {
    return error.what();
  }
  return "";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("journal: positions rise over restarts, and none is given twice after a power cut") {
  World world;
  const auto first = world.emit("file.completed", "in", 3);
  const std::string stream = world.journal->events().stream();
  world.stop();
  world.save();
  world.start();
  const auto taken_back = world.emit("file.completed", "in", 1000);
  world.stop();
  world.rewind();
  world.pass_silently(kSecond);
  world.start();
  CHECK(world.journal->events().stream() == stream);
  CHECK(world.journal->events().started_after() >= taken_back);
  CHECK(world.emit() > taken_back);
  CHECK(all(*world.journal).size() == 4);
  CHECK(all(*world.journal, first).size() == 1);
  world.restart(0);  // within the same second
  const auto last = all(*world.journal).back().position;
  CHECK(world.emit() > last);
}

TEST_CASE("journal: entries are read as they were published") {
  World world;
  std::vector<std::string> published;
  std::vector<WatchReport> turn(2);
  for (WatchReport& said : turn) {
    said.watch = "in";
    said.root = "/srv/in";
    said.report.type = "file.stalled";
    said.report.path = "\xff";
  }
  REQUIRE(world.journal->commit(turn, world.now.wall, {},
                                [&](std::string_view topic, std::string_view body) {
                                  CHECK(topic == "file.stalled/in/");
                                  published.emplace_back(body);
                                }));
  const auto seen = all(*world.journal);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].body == published[0]);
  CHECK(seen[1].body == published[1]);
  CHECK(decode(seen[1].body).sequence == position_text(seen[1].position));
  CHECK(decode(seen[1].body).prevsequence == position_text(seen[0].position));
  CHECK(seen[1].number == seen[0].number + 1);
  CHECK(world.journal->events().count() == seen[1].number);
  CHECK(world.journal->events().first_position() == seen[0].position);
  CHECK(world.journal->events().number_at(seen[0].position) == seen[0].number);
  CHECK(world.journal->events().number_at(0) == 0);
}

TEST_CASE("journal: a copy for one consumer has the id, a new position, and no predecessor") {
  World world;
  const auto first = world.emit();
  const auto original = all(*world.journal).front();
  {
    sqlite::Transaction transaction(*world.journal->database());
    EventLog& events = world.journal->events();
    events.append_for(7, {events.topic_number("file.completed/in/"), original.body},
                      world.now.wall);
    transaction.commit();
  }
  const auto seen = all(*world.journal, first);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].consumer == 7);
  const Event event = decode(seen[0].body);
  CHECK(event.id == decode(original.body).id);
  CHECK(event.sequence == position_text(seen[0].position));
  CHECK(event.prevsequence.empty());
  // It is no event of the topic: nobody who listens live misses it.
  CHECK(world.journal->events().published().at("file.completed/in/") == first);
  const auto next = world.emit();
  CHECK(decode(all(*world.journal, seen[0].position)[0].body).prevsequence == position_text(first));
  const auto bytes = world.journal->events().bytes();
  world.restart();
  CHECK(world.journal->events().bytes() == bytes);
  CHECK(world.journal->events().last_position() >= next);
}

TEST_CASE("journal: places by time") {
  World world;
  CHECK(world.journal->events().position_before(world.now.wall) == 0);
  std::vector<std::pair<Nanos, std::uint64_t>> said;
  for (int i = 0; i < 50; ++i) {
    world.pass_silently(kSecond);
    said.emplace_back(world.now.wall, world.emit("file.completed", "in", 1 + i % 3));
    if (i == 25) world.restart(kSecond);
  }
  CHECK(world.journal->events().position_before(said[0].first) == 0);
  for (std::size_t i = 1; i < said.size(); ++i) {
    CHECK(world.journal->events().position_before(said[i].first) == said[i - 1].second);
  }
  CHECK(world.journal->events().position_before(world.now.wall + kSecond) == said.back().second);
}

TEST_CASE("journal: what is old goes, unless a consumer that is alive has not had it") {
  World world;
  world.stop();
  world.options.retain = 3600 * kSecond;
  world.options.consumer_expiry = 7200 * kSecond;
  world.start();
  world.emit("file.completed", "in", 10);
  const auto tidy = [&] {
    while (world.journal->tidy(world.now)) {
    }
    return all(*world.journal).size();
  };
  Value reply = world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}, {"limit", 4}});
  world.ask({{"op", "ack"},
             {"consumer", "c"},
             {"client", "me"},
             {"stream", world.journal->events().stream()},
             {"ack", *reply.find("cursor")}});
  world.pass_silently(1800 * kSecond);
  CHECK(tidy() == 10);
  world.pass_silently(3600 * kSecond);
  CHECK(tidy() == 6);
  world.pass_silently(3600 * kSecond);  // it has not been heard of for too long
  CHECK(tidy() == 0);
  reply = world.ask({{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}});
  CHECK(reply.find("lost") != nullptr);
  // Numbers go on, and so does the topic.
  const auto next = world.emit();
  CHECK(decode(all(*world.journal)[0].body).prevsequence != "0");
  world.restart();
  CHECK(world.journal->events().topics()[1].evicted > 0);
  CHECK(all(*world.journal)[0].position == next);
}

TEST_CASE("journal: files that are no journal of ours are refused and left as they are") {
  KeptJournal kept;
  const std::string path = kept.path();
  {
    const FetchWorld world(path);
    CHECK(has(refusal(path), "another inotifier uses the journal"));
  }
  {
    sqlite::Database database(path);
    database.run("PRAGMA user_version = 1000");
  }
  CHECK(has(refusal(path), "newer inotifier"));
  std::filesystem::remove(path);
  {
    sqlite::Database database(path);
    database.run("CREATE TABLE theirs(x)");
  }
  CHECK(has(refusal(path), "another program"));
  std::filesystem::remove(path);
  std::ofstream(path) << std::string(100'000, 'x');
  CHECK(has(refusal(path), path));
  CHECK(std::filesystem::file_size(path) == 100'000);
}

TEST_CASE("journal: what is known of a watch is kept for a while after it was removed") {
  constexpr Nanos kDay = 24 * 3600 * kSecond;
  constexpr int kRows = 2500;
  const KeptJournal kept;
  JournalOptions options;
  options.path = kept.path();
  options.daemon_name = "test";
  const auto open = [&](Journal& journal, const char* name, int more) {
    FileTable files;
    WatchTable directories;
    const Journal::Watch watch = journal.open_watch(name, "", "/w");
    const Journal::Tables tables{watch.id, name, &files, &directories};
    journal.load(tables);
    for (int i = 0; i < more; ++i) files.put(0, "f" + std::to_string(i), Row());
    REQUIRE(journal.commit({}, 1, {&tables, 1}, {}));
    return files.size();
  };
  const auto watches = [](Journal& journal, Nanos time) {
    while (journal.tidy({time, 1'700'000'000 * kSecond})) {
    }
    return journal.database()->number("SELECT count(*) FROM watches");
  };
  {
    Journal journal(options, {0, 1'700'000'000 * kSecond});
    for (const char* name : {"stays", "goes"}) open(journal, name, kRows);
  }
  {
    Journal journal(options, {0, 1'700'000'000 * kSecond});
    CHECK(open(journal, "stays", 0) == kRows);
    CHECK(watches(journal, 6 * kDay) == 2);
    CHECK(watches(journal, 8 * kDay) == 1);
  }
  Journal journal(options, {0, 1'700'000'000 * kSecond});
  CHECK(open(journal, "stays", 0) == kRows);
  CHECK(open(journal, "goes", 0) == 0);
}

TEST_CASE("journal: rows and tombstones come back as they were, and that the first scan is over") {
  const KeptJournal kept;
  JournalOptions options;
  options.path = kept.path();
  const auto open = [&](const std::function<void(FileTable&)>& work) {
    Journal journal(options, Now());
    FileTable files;
    WatchTable directories;
    const Journal::Tables tables{journal.open_watch("in", "", "/w").id, "in", &files, &directories};
    journal.load(tables);
    work(files);
    REQUIRE(journal.commit({}, 1, {&tables, 1}, {}));
  };
  open([](FileTable& files) {
    CHECK_FALSE(files.scanned());
    files.set_scanned();
    Row row;
    row.inode = 1, row.size = 2, row.mtime = 3, row.ctime = 4, row.path_hash = 6, row.revision = 7;
    row.birth = 1'795'341'600'123'456'789;
    row.state = Row::State::kNoArrival;
    row.unsure = true;
    files.put(0, "a", row);
    row.path_hash = 8;
    files.put(0, "b", row);
    files.leave(0, "b");
  });
  open([](FileTable& files) {
    CHECK(files.scanned());
    const Row* row = files.find(0, "a");
    REQUIRE(row != nullptr);
    CHECK(row->birth == 1'795'341'600'123'456'789);
    CHECK(row->ctime == 4);
    CHECK(row->unsure);
    CHECK(row->state == Row::State::kNoArrival);
    REQUIRE(files.tombstone(8) != nullptr);
    CHECK(files.tombstone(8)->revision == 7);
    CHECK_FALSE(files.tombstone(8)->announced);
  });
}

TEST_CASE("journal: an id is one of the whole identity") {
  const auto id = [](Nanos birth, std::uint32_t revision) {
    Stat stat;
    stat.inode = 1, stat.size = 2, stat.mtime = 3, stat.btime = birth;
    return EventLog::file_id("file.completed", "in", "a", stat, revision);
  };
  CHECK(id(4, 0) == id(4, 0));
  CHECK(id(4, 0) != id(5, 0));
  CHECK(id(4, 0) != id(0, 0));
  CHECK(id(4, 0) != id(4, 1));
}

TEST_CASE("journal: steps of the wall clock make nothing older") {
  constexpr Nanos kDay = 24 * 3600 * kSecond;
  World world;
  const Value::Map fetch{{"op", "fetch"}, {"consumer", "c"}, {"client", "me"}};
  world.emit("file.completed", "in", 5);
  world.ask(fetch);
  const auto tidied = [&] {
    while (world.journal->tidy(world.now)) {
    }
    world.turn();
    return all(*world.journal).size();
  };
  for (const Nanos step : {40 * kDay, -80 * kDay, 40 * kDay}) {
    world.now.wall += step;
    world.pass_silently(20 * kSecond);
    CHECK(tidied() == 5);
    world.restart(kSecond);
    CHECK(tidied() == 5);
    CHECK(world.service->consumers() == 1);
  }
  // A start with a wrong clock counts no more than another one.
  world.restart(40 * kDay);
  CHECK(tidied() == 5);
  world.pass_silently(8 * kDay);
  CHECK(tidied() == 5);  // the consumer wants them
  world.pass_silently(23 * kDay);
  CHECK(tidied() == 0);
  CHECK(world.service->consumers() == 0);
}

TEST_CASE("journal: no position is given twice after a power cut, whatever the clock says") {
  World world;
  world.emit();
  world.save();
  const auto taken_back = world.emit("file.completed", "in", 1000);
  world.stop();
  world.rewind();
  for (const Nanos wall : {std::int64_t{0}, -kSecond, 8'000'000'000 * kSecond, std::int64_t{0}}) {
    world.now.wall = wall;
    world.start();
    CHECK(world.emit() > taken_back);
    world.stop();
  }
}

TEST_CASE("journal: places by time where the clock was set back") {
  World world;
  const auto first = world.emit();
  const Nanos start = world.now.wall;
  world.now.wall += 7200 * kSecond;
  const auto ahead = world.emit();
  world.now.wall = start + 60 * kSecond;
  const auto back = world.emit();
  world.pass_silently(60 * kSecond);
  const auto last = world.emit();
  EventLog& events = world.journal->events();
  CHECK(events.position_before(start + 30 * kSecond) == first);
  CHECK(events.position_before(start + 90 * kSecond) == first);
  CHECK(events.position_before(start + 7201 * kSecond) == last);
  CHECK(ahead < back);
  world.restart(kSecond);
  CHECK(world.journal->events().position_before(start + 90 * kSecond) == first);
}

TEST_CASE("journal: a limit of file sizes is waited out") {
  World world;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::vector<WatchReport> turn(500);
  for (WatchReport& report : turn) {
    report.watch = "in";
    report.root = "/srv/in";
    report.report.type = "file.stalled";
  }
  int published = 0;
  const auto publish = [&](std::string_view, std::string_view) { ++published; };
  bool committed = true;
  bool retried = true;
  std::string error;
  try {
    committed = world.journal->commit(turn, world.now.wall, {}, publish);
    retried = world.journal->retry({}, publish);
  } catch (const SetupError& thrown) {
    error = thrown.what();
  }
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(error == "");
  CHECK_FALSE(committed);
  CHECK_FALSE(retried);
  CHECK(world.journal->blocked());
  CHECK(published == 0);
  CHECK(world.journal->retry({}, publish));
  CHECK(published == 500);
  CHECK(all(*world.journal).size() == 500);
}

TEST_CASE("consumers: those that nobody uses are forgotten, those in use are not") {
  World world;
  world.stop();
  world.options.consumer_expiry = 3600 * kSecond;
  world.start();
  const auto fetch = [](const std::string& name) {
    return Value::Map{{"op", "fetch"}, {"consumer", name}, {"client", "me"}};
  };
  for (int i = 0; i < 1200; ++i) world.ask(fetch("job-" + std::to_string(i)));
  world.ask(fetch("stays"));
  CHECK(world.service->consumers() == 1201);
  for (int i = 0; i < 3; ++i) {
    world.pass_silently(1800 * kSecond);
    world.ask(fetch("stays"));
  }
  world.pass(kSecond);
  CHECK(world.service->consumers() == 1);
  world.restart(kSecond);
  CHECK(world.service->consumers() == 1);
}

TEST_CASE("consumers: one that is abandoned does not hold scans back for long") {
  World world;
  world.stop();
  world.options.retain_size = 1 << 20;
  world.start();
  world.ask({{"op", "fetch"}, {"consumer", "tried-once"}, {"client", "me"}});
  world.emit("file.completed", "in", 1000, std::string(1000, 'x'));
  CHECK(world.journal->room(world.now) == 0);
  world.pass_silently(31 * kSecond);
  CHECK(world.journal->room(world.now) > 0);
  world.restart(kSecond);
  CHECK(world.journal->room(world.now) == 0);
  world.pass_silently(6 * kSecond);
  CHECK(world.journal->room(world.now) > 0);
}
