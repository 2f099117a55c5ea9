#include "source/remote_tree.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

/// A remote volume at v/w of a watch.
struct Part {
  PollResult round(const std::vector<std::string>& paths) {
    PollResult result;
    for (const std::string& path : paths) result.files.push_back({path, {}});
    result.end_of_round = true;
    return result;
  }
  bool see(const PollResult& result) { return tree.on_poll_result(result, Origin::kPoll); }

  RecordingSink sink;
  EventSource::Output out{sink};
  WatchTable table;
  DirId top = table.add(table.add(kRootDir, "v"), "w");
  std::vector<std::string> asked;
  Nanos asked_since = 0;
  RemoteTree tree{table,
                  top,
                  {[this](std::vector<std::string> paths) { asked = std::move(paths); }, [] {},
                   [this] { return asked_since; }},
                  out};
};

}  // namespace

TEST_CASE("remote tree: what its poller saw is found at its place in the watch") {
  Part part;
  CHECK(part.see(part.round({"a", "d/b"})));
  CHECK(part.tree.files() == 2);
  CHECK(part.sink.take() == std::vector<std::string>{"found v/w/a", "found v/w/d/b"});
  CHECK(part.table.find("v/w/d") != kNoDir);
}

TEST_CASE("remote tree: only the poller says that a file is gone") {
  Part part;
  part.see(part.round({"d/b"}));
  part.tree.end_round();
  CHECK(part.tree.stat(part.table.find("v/w/d"), "b") == EAGAIN);
  part.see(part.round({}));
  CHECK(part.asked == std::vector<std::string>{"d/b"});
  part.sink.take();
  PollResult result = part.round({});
  result.gone = {"d/b"};
  part.see(result);
  CHECK(part.sink.take() == std::vector<std::string>{"left v/w/d/b"});
}

TEST_CASE("remote tree: a volume that cannot be opened is lost, once, and restored") {
  Part part;
  PollResult result = part.round({});
  result.root_error = ENOTCONN;
  CHECK_FALSE(part.see(result));
  CHECK_FALSE(part.see(result));
  CHECK(part.tree.is_lost());
  CHECK(part.see(part.round({"a"})));
  CHECK(part.sink.take() ==
        std::vector<std::string>{"watch.lost", "watch.restored", "found v/w/a"});
}

TEST_CASE("remote tree: a volume that has not answered for long is named") {
  Part part;
  const auto unanswered = [&](Nanos now) {
    std::vector<EventSource::Unanswered> all;
    part.tree.list_unanswered(now, all);
    return all;
  };
  CHECK(unanswered(100 * kSecond).empty());
  part.asked_since = 100 * kSecond;
  CHECK(unanswered(102 * kSecond).empty());
  const auto named = unanswered(106 * kSecond);
  REQUIRE(named.size() == 1);
  CHECK(named[0].path == "v/w");
  CHECK(named[0].since == 100 * kSecond);
}

TEST_CASE("remote tree: what was set aside meanwhile is no place any more") {
  Part part;
  part.table.set_aside(part.top);
  CHECK_FALSE(part.see(part.round({"a"})));
  CHECK(part.sink.take().empty());
}
