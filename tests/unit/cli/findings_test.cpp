#include "cli/findings.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/curve_keys.hpp"
#include "fs/real_fs.hpp"

using inotifier::Config;
using inotifier::Files;
using inotifier::Finding;
using inotifier::Findings;
using inotifier::InotifyLimits;
using inotifier::JournalSurvey;
using inotifier::judge;
using inotifier::judge_security;
using inotifier::make_curve_keys;
using inotifier::public_file_text;
using inotifier::RealFs;
using inotifier::secret_file_text;
using inotifier::Survey;
using inotifier::survey;
using inotifier::survey_journal;
using inotifier::WatchConfig;

namespace {

class Directory {
 public:
  Directory() {
    std::string path = (std::filesystem::temp_directory_path() / "check-XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  void write(const std::string& name, const std::string& text = "x") const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

WatchConfig watch_of(const std::string& path) {
  WatchConfig watch;
  watch.name = "in";
  watch.path = path;
  watch.exclude = inotifier::kDefaultExclude;
  watch.temporary = inotifier::kDefaultTemporary;
  return watch;
}

Survey survey_of(const WatchConfig& watch) {
  RealFs fs;
  return survey(watch, fs);
}

/// The finding whose text or remedy holds `part`; fails if there is none.
Finding find(const Findings& findings, const std::string& part) {
  for (const auto& finding : findings) {
    if (finding.text.find(part) != std::string::npos ||
        finding.remedy.find(part) != std::string::npos) {
      return finding;
    }
  }
  FAIL_CHECK("no finding says: " << part);
  return {};
}

bool has_level(const Findings& findings, Finding::Level level) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.level == level; });
}

constexpr auto kOk = Finding::Level::kOk;
constexpr auto kNote = Finding::Level::kNote;
constexpr auto kWarning = Finding::Level::kWarning;
constexpr auto kError = Finding::Level::kError;

Survey plain_survey() {
  Survey found;
  found.traits.type = "ext4";
  found.directories = 1;
  return found;
}

}  // namespace

TEST_SUITE("check") {
  TEST_CASE("a survey counts what a first start would announce") {
    const Directory directory;
    directory.write("a");
    directory.write("sub/deeper/b", "four");
    directory.write("sub/.hidden");
    directory.write("sub/c.part");
    directory.write("unfinished.tmp/d");
    directory.write("done/e");
    REQUIRE(::symlink("a", (directory.path() + "/link").c_str()) == 0);
    REQUIRE(::mkfifo((directory.path() + "/fifo").c_str(), 0600) == 0);

    auto watch = watch_of(directory.path());
    auto found = survey_of(watch);
    CHECK(found.error == 0);
    CHECK(found.directories == 4);
    CHECK(found.files == 5);
    CHECK(found.admitted == 3);
    CHECK(found.temporary == 1);
    CHECK(found.unreadable == 0);
    CHECK(found.set_aside == std::vector<std::string>{"done"});
    CHECK(found.others.empty());

    watch.min_size = 4;
    CHECK(survey_of(watch).admitted == 1);
    watch.min_size = 0;
    watch.exclude.emplace_back("done/**");
    found = survey_of(watch);
    CHECK(found.admitted == 2);
    CHECK(found.set_aside.empty());
    watch.recursive = false;
    found = survey_of(watch);
    CHECK(found.directories == 1);
    CHECK(found.admitted == 1);
  }

  TEST_CASE("a survey tries leases on a file of each owner") {
    const Directory directory;
    directory.write("mine");
    auto watch = watch_of(directory.path());
    const auto found = survey_of(watch);
    if (!found.traits.leases) {
      MESSAGE("skipped: no leases on " << found.traits.type);
      return;
    }
    REQUIRE(found.trials.size() == 1);
    CHECK(found.trials[0].uid == ::geteuid());
    CHECK(found.trials[0].result == Files::Writer::kNone);
    find(judge(watch, found), "leases work for files of uid");

    watch.writer_check = WatchConfig::WriterCheck::kOff;
    CHECK(survey_of(watch).trials.empty());
  }

  TEST_CASE("a watch that cannot work is an error") {
    const Directory directory;
    directory.write("file");
    for (const auto* name : {"/missing", "/file"}) {
      const auto watch = watch_of(directory.path() + name);
      const auto findings = judge(watch, survey_of(watch));
      REQUIRE(findings.size() == 1);
      CHECK(findings[0].level == kError);
      CHECK_FALSE(findings[0].remedy.empty());
    }
  }

  TEST_CASE("directories that cannot be read are told, the rest goes on") {
    if (::geteuid() == 0) {
      MESSAGE("skipped: root can read everything");
      return;
    }
    const Directory directory;
    directory.write("closed/x");
    directory.write("open/y");
    const auto closed = directory.path() + "/closed";
    REQUIRE(::chmod(closed.c_str(), 0) == 0);
    const auto watch = watch_of(directory.path());
    const auto found = survey_of(watch);
    ::chmod(closed.c_str(), 0700);
    CHECK(found.error == 0);
    CHECK(found.admitted == 1);
    CHECK(found.unreadable == 1);
    CHECK(found.first_unreadable == "closed");
    CHECK(find(judge(watch, found), "cannot be read").level == kWarning);
  }

  TEST_CASE("a usual watch is all right") {
    const auto findings = judge(watch_of("/in"), plain_survey());
    CHECK_FALSE(has_level(findings, kWarning));
    CHECK_FALSE(has_level(findings, kError));
    CHECK(find(findings, "ext4, events come").level == kOk);
  }

  TEST_CASE("places where workers put files are to be excluded, besides what is") {
    auto found = plain_survey();
    found.set_aside = {"a/done"};
    const auto finding = find(judge(watch_of("/in"), found), "a/done/");
    CHECK(finding.level == kWarning);
    CHECK(finding.remedy == "exclude = [\".*\", \"*~\", \"a/done/**\"]");
  }

  TEST_CASE("many files of a first start are a warning") {
    auto watch = watch_of("/in");
    auto found = plain_survey();
    found.admitted = 12'345;
    CHECK(find(judge(watch, found), "announces 12,345 files").level == kWarning);
    watch.existing = WatchConfig::Existing::kIgnore;
    CHECK(find(judge(watch, found), "announces none").level == kOk);
  }

  TEST_CASE("network file systems are polled, unless told otherwise") {
    auto watch = watch_of("/in");
    auto found = plain_survey();
    found.traits.type = "nfs";
    found.traits.local = false;
    found.traits.leases = false;
    CHECK(find(judge(watch, found), "polled every 5s").level == kNote);
    CHECK(find(judge(watch, found), "2s without a change").level == kWarning);
    watch.backend = WatchConfig::Backend::kInotify;
    CHECK(find(judge(watch, found), "backend = \"auto\"").level == kWarning);
    watch.settle = 10'000'000'000;
    CHECK(find(judge(watch, found), "10s without a change").level == kWarning);
    watch.require_lease = true;
    CHECK(find(judge(watch, found), "require_lease is set").level == kError);
  }

  TEST_CASE("a refused lease names the owner and the capability") {
    auto found = plain_survey();
    const auto other = ::geteuid() + 1;
    found.trials.push_back({other, "x", Files::Writer::kUnknown, EACCES});
    const auto finding = find(judge(watch_of("/in"), found), "no lease on files of uid");
    CHECK(finding.level == kWarning);
    CHECK(finding.remedy.find("CAP_LEASE") != std::string::npos);
    CHECK(finding.text.find("EACCES") != std::string::npos);
  }

  TEST_CASE("limits that do not suffice name the sysctl and a number") {
    InotifyLimits limits;
    limits.watches = {"fs.inotify.max_user_watches", 8192};
    limits.instances = {"fs.inotify.max_user_instances", 128};
    limits.queued_events = {"fs.inotify.max_queued_events", 16'384};
    CHECK_FALSE(has_level(judge(limits, 1000, 1), kWarning));
    CHECK(find(judge(limits, 10'000, 1), "fs.inotify.max_user_watches=16384").level == kWarning);
    limits.watches_used = 7000;
    CHECK(find(judge(limits, 1000, 1), "tight").level == kWarning);
    CHECK(find(judge(limits, 1, 129), "fs.inotify.max_user_instances=1024").level == kWarning);
    limits.queued_events.most = 100;
    CHECK(find(judge(limits, 1, 1), "fs.inotify.max_queued_events=131072").level == kWarning);
    limits.watches.most.reset();
    CHECK(find(judge(limits, 1, 1), "cannot be read").level == kNote);
  }

  TEST_CASE("what this user's programs use can be read") {
    const auto limits = inotifier::read_inotify_limits();
    CHECK(limits.watches.most.value_or(1) > 0);
    CHECK(limits.watches_used >= 0);
  }

  TEST_CASE("a configuration without watches, and one with overlapping ones") {
    Config config;
    CHECK(find(judge(config), "no watch").level == kWarning);
    auto outer = watch_of("/srv/a");
    outer.name = "outer";
    auto inner = watch_of("/srv/a/b");
    inner.name = "inner";
    auto neighbour = watch_of("/srv/ab");
    neighbour.name = "neighbour";
    config.watches = {outer, inner, neighbour};
    const auto findings = judge(config);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].text.find("inner lies within outer") != std::string::npos);
    config.watches[0].recursive = false;
    CHECK(judge(config).empty());
  }

  TEST_CASE("a watch that had another name is told, and endpoints of fetch are looked at") {
    Config config;
    config.watches = {watch_of("/srv/a")};
    config.watches[0].previous_name = "old";
    config.fetch.endpoints = {"ipc:///proc/nowhere/fetch"};
    const auto findings = judge(config);
    CHECK(find(findings, "in takes over what the journal knows of old").level == kNote);
    if (::geteuid() != 0) {
      CHECK(find(findings, "ipc:///proc/nowhere/fetch cannot be made").level == kWarning);
    }
  }

  TEST_CASE("a journal is looked at where it would be made") {
    const Directory directory;
    RealFs fs;
    auto place = survey_journal(directory.path() + "/a/b/journal.db", fs);
    CHECK(place.directory == directory.path());
    CHECK(place.error == 0);
    CHECK_FALSE(place.remote);
    CHECK_FALSE(place.is_there);
    CHECK(place.free > 0);
    CHECK_FALSE(place.type.empty());
    directory.write("j.db", "1234");
    directory.write("j.db-wal", "12");
    place = survey_journal(directory.path() + "/j.db", fs);
    CHECK(place.is_there);
    CHECK(place.used == 6);
    if (::geteuid() == 0) {
      MESSAGE("skipped: root can write everywhere");
      return;
    }
    REQUIRE(::chmod(directory.path().c_str(), 0500) == 0);
    place = survey_journal(directory.path() + "/new.db", fs);
    ::chmod(directory.path().c_str(), 0700);
    CHECK(place.error == EACCES);
  }

  TEST_CASE("a journal that cannot work is an error, one without room a warning") {
    Config::Journal journal;
    journal.path = "/j/journal.db";
    JournalSurvey place;
    place.directory = "/j";
    place.type = "ext4";
    place.free = journal.retain_size;
    CHECK_FALSE(has_level(judge(journal, place), kWarning));
    place.free = journal.retain_size - 1;
    CHECK(find(judge(journal, place), "lower retain_size").level == kWarning);
    place.used = 1;  // what it has already needs no room
    place.is_there = true;
    CHECK_FALSE(has_level(judge(journal, place), kWarning));
    place.error = EACCES;
    CHECK(find(judge(journal, place), "cannot be written").level == kError);
    place.remote = true;
    const auto findings = judge(journal, place);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].level == kError);
    CHECK(findings[0].text.find("network or FUSE file system") != std::string::npos);
  }

  TEST_CASE("keys and who can connect") {
    Config config;
    config.publish.endpoints = {"ipc:///x/publish"};
    CHECK(find(judge_security(config), "only the daemon's user and group").level == kOk);
    config.fetch.endpoints = {"tcp://127.0.0.1:5"};
    CHECK(find(judge_security(config), "every user of this machine").level == kNote);
    config.security.insecure = true;
    CHECK(find(judge_security(config), "insecure = true is not needed").level == kNote);
    config.fetch.endpoints = {"tcp://*:5"};
    CHECK(find(judge_security(config), "everybody who reaches it").level == kWarning);
    config.security.group = "no-such-group";
    CHECK(find(judge_security(config), "groupadd").level == kError);

    const Directory directory;
    std::filesystem::create_directory(directory.path() + "/clients");
    const auto keys = make_curve_keys();
    config.security = {};
    config.security.server_key = directory.path() + "/server.key_secret";
    config.security.clients = directory.path() + "/clients";
    CHECK(find(judge_security(config), "server_key: open").level == kError);
    directory.write("server.key_secret", secret_file_text(keys));
    CHECK(find(judge_security(config), "chmod 600").level == kError);
    ::chmod(config.security.server_key.c_str(), 0600);
    CHECK(find(judge_security(config), keys.public_key).level == kOk);
    CHECK(find(judge_security(config), "holds no client's key").level == kWarning);
    directory.write("clients/a.key", public_file_text(make_curve_keys()));
    CHECK(find(judge_security(config), "1 client may connect over tcp, 0 of them").level == kOk);
    CHECK_FALSE(has_level(judge_security(config), kWarning));
    directory.write("clients/b.key", "nonsense");
    CHECK(find(judge_security(config), "b.key has no line public-key").level == kWarning);
    directory.write("clients/c.key", secret_file_text(make_curve_keys()));
    CHECK(find(judge_security(config), "c.key holds a secret key").level == kWarning);
    directory.write("clients/d.key_secret", "x");
    CHECK(find(judge_security(config), "d.key_secret holds a secret key").level == kWarning);
    config.fetch.endpoints.clear();
    CHECK(find(judge_security(config), "ipc needs none").level == kNote);
    config.security.clients += "/nowhere";
    CHECK(find(judge_security(config), "No such file").level == kError);
  }

  TEST_CASE("numbers are grouped by thousands") {
    CHECK(inotifier::grouped(0) == "0");
    CHECK(inotifier::grouped(999) == "999");
    CHECK(inotifier::grouped(1000) == "1,000");
    CHECK(inotifier::grouped(1234567) == "1,234,567");
    CHECK(inotifier::grouped(-1000) == "-1,000");
  }
}
