#include "source/file_probes.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "support/source_parts.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

using Writer = Files::Writer;

struct Looks : SourceParts {
  Looks() {
    fs.make_directory("/w/d");
    for (const char* name : {"a", "b", "d/c"}) write(std::string("/w/") + name);
    attach();
    scan();
    pass(kSecond);
    d = tree.table().find("d");
  }
  void start(const std::vector<FileName>& files) { probes.start(files); }
  Writer writer(DirId dir, std::string_view name) {
    const auto probe = probes.take(dir, name);
    return probe ? probe->writer : Writer::kChanged;
  }

  DirId d = kNoDir;
  FileProbes probes{tree, fs};
};

}  // namespace

TEST_CASE("file probes: answers of one turn, each once, in the order they were asked for") {
  Looks looks;
  looks.start({{kRootDir, "a"}, {kRootDir, "b"}, {looks.d, "c"}, {kRootDir, "gone"}});
  CHECK(looks.writer(looks.d, "c") == Writer::kNone);
  CHECK_FALSE(looks.probes.take(kRootDir, "a"));  // before the one that was taken last
  CHECK(looks.writer(kRootDir, "gone") == Writer::kGone);
  CHECK_FALSE(looks.probes.take(kRootDir, "gone"));
}

TEST_CASE("file probes: what does not answer is pending, and comes in a later turn") {
  Looks looks;
  looks.fs.set_hang("/w/a", true);
  looks.start({{kRootDir, "a"}, {kRootDir, "b"}});
  CHECK(looks.writer(kRootDir, "b") == Writer::kNone);
  CHECK(looks.writer(kRootDir, "a") == Writer::kPending);
  looks.probes.end_turn();
  std::vector<EventSource::Unanswered> unanswered;
  looks.probes.list_unanswered(unanswered);
  REQUIRE(unanswered.size() == 1);
  CHECK(unanswered[0].path == "a");
  CHECK(looks.probes.answered().empty());
  looks.start({{kRootDir, "a"}});  // it is being looked at already
  CHECK(looks.writer(kRootDir, "a") == Writer::kPending);
  looks.fs.set_hang("/w/a", false);
  CHECK(looks.probes.answered() == std::vector<std::pair<DirId, std::string>>{{kRootDir, "a"}});
  CHECK(looks.writer(kRootDir, "a") == Writer::kNone);
  CHECK_FALSE(looks.probes.take(kRootDir, "a"));
}

TEST_CASE("file probes: an answer that a record or a doubt has made old is none") {
  Looks looks;
  looks.fs.set_hang("/w/a", true);
  looks.start({{kRootDir, "a"}});
  SUBCASE("a record of it") { looks.probes.on_record(kRootDir, "a"); }
  SUBCASE("records may have been missed") { looks.probes.on_doubt(); }
  looks.fs.set_hang("/w/a", false);
  CHECK(looks.probes.answered().size() == 1);
  CHECK_FALSE(looks.probes.take(kRootDir, "a"));
}

TEST_CASE("file probes: an answer that nobody takes is dropped at the end of the turn") {
  Looks looks;
  looks.fs.set_hang("/w/a", true);
  looks.start({{kRootDir, "a"}});
  looks.fs.set_hang("/w/a", false);
  looks.probes.answered();
  looks.probes.end_turn();
  CHECK_FALSE(looks.probes.take(kRootDir, "a"));
}

TEST_CASE("file probes: of a directory that is gone no answer counts") {
  Looks looks;
  looks.fs.set_hang("/w/d/c", true);
  looks.start({{looks.d, "c"}});
  looks.tree.drop(looks.d);
  looks.fs.set_hang("/w/d/c", false);
  CHECK(looks.probes.answered().empty());
}
