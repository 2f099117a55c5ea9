#include "config/load.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "config/keys.hpp"
#include "inotifier/time.hpp"

using inotifier::Config;
using inotifier::ConfigError;
using inotifier::duration_text;
using inotifier::Environment;
using inotifier::kSecond;
using inotifier::load_config;
using inotifier::LoadOptions;
using inotifier::parse_config;
using inotifier::parse_duration;
using inotifier::parse_size;
using inotifier::size_text;
using inotifier::to_toml;
using inotifier::WatchConfig;

namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(const Variables& variables = {}) {
  return {variables.begin(), variables.end()};
}

Config parsed(const std::string& text, const Variables& variables = {}) {
  return parse_config(text, "f.toml", environment(variables));
}

/// The message of the ConfigError; "" if there was none.
std::string error_of(const std::string& text, const Variables& variables = {}) {
  try {
    parsed(text, variables);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

WatchConfig watch_of(const std::string& keys) {
  const auto config = parsed("[[watch]]\npath = \"/in\"\n" + keys + "\n");
  REQUIRE(config.watches.size() == 1);
  return config.watches[0];
}

std::string watch_error(const std::string& keys) {
  return error_of("[[watch]]\npath = \"/in\"\n" + keys + "\n");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

LoadOptions only(std::vector<std::string> directories, std::vector<std::string> options = {}) {
  LoadOptions load;
  load.directories = std::move(directories);
  load.watch_options = std::move(options);
  load.only_directories = true;
  return load;
}

std::string arguments_error(const LoadOptions& options, const Variables& variables = {}) {
  try {
    load_config(options, environment(variables));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::filesystem::path conf_directory() {
  return std::filesystem::path(INOTIFIER_SOURCE_DIR) / "conf";
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE("config") {
  TEST_CASE("durations are read as people write them") {
    CHECK(parse_duration("250ms") == 250'000'000);
    CHECK(parse_duration("2s") == 2 * kSecond);
    CHECK(parse_duration("1h30m") == 5400 * kSecond);
    CHECK(parse_duration("1h 30m") == 5400 * kSecond);
    CHECK(parse_duration("1.5h") == 5400 * kSecond);
    CHECK(parse_duration(" 7d ") == 7 * 86'400 * kSecond);
    CHECK(parse_duration("2w") == 14 * 86'400 * kSecond);
    CHECK(parse_duration("5us") == 5'000);
    CHECK(parse_duration("7ns") == 7);
    CHECK(parse_duration("0") == 0);
    CHECK(parse_duration("0s") == 0);
    for (const char* text :
         {"", " ", "5", "s", "-5s", "5 sekunden", "30m1h", "1m1m", "1e3s", "1..5s", "5S", "0.1ns",
          "36526d", "300000000h", "99999999999999999999s", "1.s", "5s,"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_duration(text));
    }
  }

  TEST_CASE("a duration's text is read back to the same") {
    CHECK(duration_text(0) == "0s");
    CHECK(duration_text(5400 * kSecond) == "1h30m");
    CHECK(duration_text(7 * 86'400 * kSecond) == "7d");
    for (const std::int64_t nanos :
         {std::int64_t{1}, std::int64_t{999}, 1500 * (kSecond / 1000), 86'399 * kSecond + 1,
          std::int64_t{36'525} * 86'400 * kSecond}) {
      CHECK(parse_duration(duration_text(nanos)) == nanos);
    }
  }

  TEST_CASE("sizes know decimal and binary units") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("123") == 123);
    CHECK(parse_size("10kB") == 10'000);
    CHECK(parse_size("500 kB") == 500'000);
    CHECK(parse_size("64KiB") == 65'536);
    CHECK(parse_size("1.5MB") == 1'500'000);
    CHECK(parse_size("2GiB") == std::int64_t{2} << 30);
    CHECK(parse_size("1B") == 1);
    for (const char* text : {"", "kB", "-1", "1.5B", "10k", "1 kB kB", "9000000000 TB", "1e3"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_size(text));
    }
  }

  TEST_CASE("a size's text is read back to the same") {
    CHECK(size_text(0) == "0");
    CHECK(size_text(1500) == "1500");
    CHECK(size_text(64 << 10) == "64KiB");
    CHECK(size_text(std::int64_t{2} << 30) == "2GiB");
    CHECK(size_text(std::int64_t{3} << 40) == "3TiB");
    for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{1025}, std::int64_t{1} << 53}) {
      CHECK(parse_size(size_text(bytes)) == bytes);
    }
  }

  TEST_CASE("an empty file is the defaults, without watches") {
    const auto config = parsed("");
    CHECK(config.watches.empty());
    CHECK_FALSE(config.daemon_name.empty());
    CHECK(config.publish.high_water_mark == 100'000);
    CHECK(config.publish.heartbeat == 10 * kSecond);
    REQUIRE(config.publish.endpoints.size() == 1);
    CHECK(config.publish.endpoints[0].starts_with("ipc:///"));
    REQUIRE(config.fetch.endpoints.size() == 1);
    CHECK(config.fetch.endpoints[0].ends_with("/fetch"));
    CHECK_FALSE(config.daemon_name_given);
    CHECK(config.journal.path.ends_with("/journal.db"));
    CHECK(config.journal.retain == 7 * 86'400 * kSecond);
    CHECK(config.journal.retain_size == std::int64_t{2} << 30);
    CHECK(config.journal.durability == Config::Journal::Durability::kProcess);
    CHECK(config.journal.consumer_expiry == 30 * 86'400 * kSecond);
    CHECK(config.security.server_key.empty());
    CHECK(config.security.clients.empty());
    CHECK_FALSE(config.security.insecure);
    CHECK(config.log.level == "info");
    CHECK(config.file == "f.toml");
  }

  TEST_CASE("the journal of a person is in the state directory") {
    const bool is_service = ::geteuid() == 0 || ::access("/run/inotifier", W_OK) == 0;
    const auto path = [](const Variables& variables) { return parsed("", variables).journal.path; };
    if (is_service) {
      CHECK(path({{"XDG_STATE_HOME", "/home/x/state"}}) == "/var/lib/inotifier/journal.db");
    } else {
      CHECK(path({{"XDG_STATE_HOME", "/s/"}, {"HOME", "/home/x"}}) == "/s/inotifier/journal.db");
      CHECK(path({{"XDG_STATE_HOME", "relative"}, {"HOME", "/home/x"}}) ==
            "/home/x/.local/state/inotifier/journal.db");
      CHECK(path({}) == "/var/tmp/inotifier-" + std::to_string(::geteuid()) + "/journal.db");
    }
  }

  TEST_CASE("the endpoint of a person is in the runtime directory") {
    const bool is_service = ::geteuid() == 0 || ::access("/run/inotifier", W_OK) == 0;
    const auto endpoint = [](const Variables& variables) {
      return parsed("", variables).publish.endpoints.at(0);
    };
    const auto uid = std::to_string(::geteuid());
    if (is_service) {
      CHECK(endpoint({{"XDG_RUNTIME_DIR", "/run/user/7"}}) == "ipc:///run/inotifier/publish");
      CHECK(parsed("").fetch.endpoints.at(0) == "ipc:///run/inotifier/fetch");
    } else {
      CHECK(endpoint({{"XDG_RUNTIME_DIR", "/run/user/7"}}) ==
            "ipc:///run/user/7/inotifier/publish");
      CHECK(endpoint({}) == "ipc:///tmp/inotifier-" + uid + "/publish");
      CHECK(parsed("").fetch.endpoints.at(0) == "ipc:///tmp/inotifier-" + uid + "/fetch");
    }
  }

  TEST_CASE("every key is read") {
    const auto config = parsed(R"(
[daemon]
name = "pacs-1"
[publish]
endpoint = ["ipc:///run/x/publish", "tcp://127.0.0.1:7556"]
high_water_mark = 5
heartbeat = "1s"
[fetch]
endpoint = "tcp://*:7557"
[journal]
path = "/var//x/./journal.db"
retain = "2d"
retain_size = "1MiB"
durability = "power"
consumer_expiry = "1h"
[security]
server_key = "/etc/x/server.key_secret"
clients = "/etc/x/clients/"
insecure = false
group = "staff"
[log]
level = "debug"
format = "json"
[[watch]]
name = "incoming"
path = "/srv//in/./coming/"
processor = "create-via-chunks"
recursive = false
events = ["file.completed"]
include = ["*.dcm"]
exclude = ["done/**"]
temporary = ["*.part"]
temporary_add = ["*.x"]
existing = "ignore"
backend = "poll"
poll_interval = "1s"
settle = "2s"
writer_check = "off"
require_lease = false
stalled_after = "0s"
min_size = "10kB"
renamed = "moved"
previous_name = "in"
)");
    CHECK(config.daemon_name == "pacs-1");
    CHECK(config.daemon_name_given);
    CHECK(config.fetch.endpoints == std::vector<std::string>{"tcp://*:7557"});
    CHECK(config.journal.path == "/var/x/journal.db");
    CHECK(config.journal.retain == 2 * 86'400 * kSecond);
    CHECK(config.journal.retain_size == 1 << 20);
    CHECK(config.journal.durability == Config::Journal::Durability::kPower);
    CHECK(config.journal.consumer_expiry == 3600 * kSecond);
    CHECK(config.security.server_key == "/etc/x/server.key_secret");
    CHECK(config.security.clients == "/etc/x/clients");
    CHECK(config.security.group == "staff");
    CHECK(config.publish.endpoints ==
          std::vector<std::string>{"ipc:///run/x/publish", "tcp://127.0.0.1:7556"});
    CHECK(config.publish.high_water_mark == 5);
    CHECK(config.publish.heartbeat == kSecond);
    CHECK(config.log.level == "debug");
    CHECK(config.log.format == Config::Log::Format::kJson);
    REQUIRE(config.watches.size() == 1);
    const auto& watch = config.watches[0];
    CHECK(watch.name == "incoming");
    CHECK(watch.path == "/srv/in/coming");
    CHECK(watch.processor == "create-via-chunks");
    CHECK_FALSE(watch.recursive);
    CHECK(watch.include == std::vector<std::string>{"*.dcm"});
    CHECK(watch.exclude == std::vector<std::string>{"done/**"});
    CHECK(watch.temporary == std::vector<std::string>{"*.part", "*.x"});
    CHECK(watch.existing == WatchConfig::Existing::kIgnore);
    CHECK(watch.backend == WatchConfig::Backend::kPoll);
    CHECK(watch.poll_interval == kSecond);
    CHECK(watch.settle == 2 * kSecond);
    CHECK(watch.writer_check == WatchConfig::WriterCheck::kOff);
    CHECK_FALSE(watch.require_lease);
    CHECK(watch.stalled_after == 0);
    CHECK(watch.min_size == 10'000);
    CHECK(watch.renamed == WatchConfig::Renamed::kMoved);
    CHECK(watch.previous_name == "in");
  }

  TEST_CASE("what is written as TOML is read back to the same") {
    const auto config = parsed(R"(
[publish]
endpoint = ["ipc:///a/b", "tcp://127.0.0.1:*"]
[journal]
path = "/a b/c\"d"
retain_size = 1048577
[security]
insecure = true
group = ""
[[watch]]
previous_name = "old"
path = '/with "quotes"\and	tab'
exclude = []
events = ["in_create"]
[[watch]]
path = "/b"
processor = "all-events"
settle = "1h0.5s"
[[watch]]
path = "/c"
renamed = "moved"
temporary_add = ["*.é"]
)");
    CHECK(parse_config(to_toml(config), "f.toml", environment()) == config);
    const auto named = parsed("[daemon]\nname = \"x\"\n");
    CHECK(parse_config(to_toml(named), "f.toml", environment()) == named);
  }

  TEST_CASE("the host's name is printed, but is not given by that") {
    CHECK(has(to_toml(parsed("")), "[daemon]\n# name = \""));
    CHECK(has(to_toml(parsed("[daemon]\nname = \"x\"\n")), "[daemon]\nname = \"x\"\n"));
  }

  TEST_CASE("the processor decides about events and filters") {
    const auto completed = watch_of("");
    CHECK(completed.processor == "completed");
    CHECK(completed.events == inotifier::default_events("completed"));
    CHECK(completed.events.size() == 8);
    CHECK(completed.exclude == inotifier::kDefaultExclude);
    CHECK(completed.temporary == inotifier::kDefaultTemporary);

    const auto raw = watch_of("processor = \"all-events\"");
    CHECK(raw.events.size() == 21);
    CHECK(raw.exclude.empty());
    CHECK(raw.temporary.empty());
    CHECK(watch_of("processor = \"all-events\"\nexclude = [\"x\"]").exclude.size() == 1);
  }

  TEST_CASE("whoever chooses events still hears of losses") {
    const auto events = watch_of("events = [\"file.moved\", \"in_create\"]").events;
    REQUIRE(events.size() == 8);
    CHECK(events[0] == "file.moved");
    CHECK(events[1] == "in_create");
    CHECK(events[2] == "watch.ready");
  }

  TEST_CASE("renames told as file.moved are published by default") {
    CHECK(watch_of("renamed = \"moved\"").events.back() == "file.moved");
  }

  TEST_CASE("temporary_add extends the default") {
    const auto watch = watch_of("temporary_add = [\"*.upload\", \"*.part\"]");
    CHECK(watch.temporary.size() == inotifier::kDefaultTemporary.size() + 1);
    CHECK(watch.temporary.back() == "*.upload");
  }

  TEST_CASE("a watch without a name is called after its directory") {
    const auto config = parsed(R"(
[[watch]]
path = "/a/in"
[[watch]]
path = "/b/in/"
[[watch]]
path = "/c/in"
name = "in-2"
[[watch]]
path = "/"
[[watch]]
path = "/x/Für Röntgen.d"
[[watch]]
path = "/x/.-hidden"
[[watch]]
path = "/x/..."
)");
    std::vector<std::string> names;
    for (const auto& watch : config.watches) names.push_back(watch.name);
    CHECK(names == std::vector<std::string>{"in", "in-3", "in-2", "root", "F-r-R-ntgen-d", "hidden",
                                            "watch"});
  }

  TEST_CASE("a long directory name gives a name that is short enough, and unique") {
    const auto path = "/" + std::string(200, 'x');
    const auto config =
        parsed("[[watch]]\npath = \"" + path + "\"\n[[watch]]\npath = \"" + path + "\"\n");
    CHECK(config.watches[0].name == std::string(64, 'x'));
    CHECK(config.watches[1].name == std::string(62, 'x') + "-2");
  }

  TEST_CASE("a relative path is one below the current directory") {
    const auto here = std::filesystem::current_path().string();
    CHECK(parsed("[[watch]]\npath = \"in/x\"\n").watches[0].path == here + "/in/x");
  }

  TEST_CASE("an error shows file, line, key, the line's text, reason and suggestion") {
    CHECK(error_of("\n[publish]\n  endpont = \"ipc:///x\"\n") ==
          "f.toml:3: publish.endpont: unknown key\n"
          "  endpont = \"ipc:///x\"\n"
          "  did you mean \"endpoint\"?");
  }

  TEST_CASE("all errors are told at once, in the order of the lines") {
    const auto error = error_of(R"([log]
level = "loud"
[[watch]]
settel = "5s"
[publish]
high_water_mark = "x"
)");
    CHECK(has(error, "f.toml:2: log.level: \"loud\" is not known"));
    CHECK(has(error, "f.toml:3: watch.path: is missing"));
    CHECK(has(error,
              "f.toml:4: watch.settel: unknown key\n  settel = \"5s\"\n  did you mean \"settle\""));
    CHECK(has(error, "f.toml:6: publish.high_water_mark: must be a whole number, is a text"));
    CHECK(error.find("f.toml:2") < error.find("f.toml:3"));
    CHECK(error.find("f.toml:4") < error.find("f.toml:6"));
  }

  TEST_CASE("so many errors that nobody would read them are counted") {
    std::string text = "[log]\n";
    for (int i = 0; i < 100; ++i) text += "x" + std::to_string(i) + " = 1\n";
    CHECK(has(error_of(text), "and 80 more"));
  }

  TEST_CASE("TOML that is none is told in one sentence") {
    const auto check = [](const std::string& text, const std::string& expected) {
      CAPTURE(text);
      const auto error = error_of(text);
      CHECK_MESSAGE(has(error, expected), error);
      CHECK_FALSE(has(error, "toml::"));
      CHECK_FALSE(has(error, "[error]"));
      CHECK(std::count(error.begin(), error.end(), '\n') <= 2);
    };
    check(
        "[[watch]]\npath = /srv/in\n",
        "f.toml:2: the value is none that TOML knows\n  path = /srv/in\n  a text stands in quotes");
    check("[[watch]]\npath = \"/srv/in\n", "f.toml:2: the text has no end");
    check("[[watch]]\nrecursive = True\n", "write true or false");
    check("[log]\nlevel: \"info\"\n", "f.toml:2: \"=\" is missing");
    check("[log\nlevel = \"info\"\n", "f.toml:1: this is neither key = value nor [section]");
    check("[[watch]]\nsettle = 5s\n", "f.toml:2: something follows the value");
    check("[log]\nlevel =\n", "f.toml:2: the value is missing");
    check("[log]\nlevel = \"a\"\nlevel = \"b\"\n",
          "f.toml:3: \"level\" is there twice, the first time in line 2");
    check("[log]\n[daemon]\n[log]\n", "f.toml:3: \"log\" is there twice, the first time in line 1");
    check("[[watch]]\npath=\"a\"\n[watch]\npath=\"b\"\n",
          "f.toml:3: \"watch\" is there twice, the first time in line 1");
    check("[[watch]]\nexclude = [\"a\",\n \"b\"\nsettle = \"5s\"\n", "the list has no end");
    check("[[watch]]\npath = \"C:\\srv\"\n", "backslash");
    check("just words\n", "f.toml:1: \"=\" is missing");
    check("x = 1979-05-27T07:32:00Z\n", "unknown key");
  }

  TEST_CASE("bytes that are no text are refused") {
    CHECK(has(error_of("[log]\n# \xff\n"), "f.toml:2: the line is no UTF-8 text"));
    CHECK(has(error_of(std::string("\0\0", 2)), "no UTF-8 text"));
    CHECK(has(error_of(std::string(2 << 20, '#')), "larger than"));
  }

  TEST_CASE("deep nesting is refused, and not parsed") {
    CHECK(has(error_of("x = " + std::string(100'000, '[')), "nested deeper"));
    CHECK(has(error_of("x = [\n" + std::string(100, '{')), "f.toml:2: brackets are nested deeper"));
    std::string key = "a";
    for (int i = 0; i < 50'000; ++i) key += ".a";
    CHECK(has(error_of(key + " = 1\n"), "more than 32 parts"));
    CHECK(has(error_of("[" + key + "]\n"), "more than 32 parts"));
    // Brackets in texts and comments do not count.
    CHECK(error_of("# " + std::string(100, '[') + "\n[daemon] # [[\nname = 'x'\n") == "");
    CHECK(watch_of("exclude = ['" + std::string(100, '[') + "']").exclude.size() == 1);
  }

  TEST_CASE("control characters of the file do not reach the terminal") {
    const auto error = error_of("\"a\\u001b[31m\" = 1\n[log]\nlevel = \"\\u001b]0;x\"\n");
    CHECK_FALSE(error.empty());
    CHECK_FALSE(has(error, "\x1b"));
  }

  TEST_CASE("unknown sections and keys in the wrong place") {
    CHECK(has(error_of("[loging]\nlevel = \"info\"\n"), "did you mean [log]?"));
    CHECK(has(error_of("[watches]\n"), "did you mean [[watch]]?"));
    CHECK(has(error_of("[watch]\npath = \"/in\"\n"), "write [[watch]] with two brackets"));
    CHECK(has(error_of("endpoint = \"ipc:///x\"\n"), "\"endpoint\" belongs below [publish]"));
    CHECK(has(watch_error("level = \"info\""), "\"level\" belongs below [log]"));
    CHECK(has(error_of("log = 5\n"), "is a section"));
    CHECK(has(error_of("watch = 5\n"), "[[watch]]"));
    CHECK(has(error_of("watch = [1]\n"), "must be a table"));
  }

  TEST_CASE("keys of other versions are unknown keys") {
    CHECK(has(error_of("[http]\nendpoint = \"x\"\n"), "http: unknown section"));
    CHECK(has(watch_error("[watch.group]\nby = \"directory\""), "watch.group: unknown key"));
    CHECK(has(watch_error("processor = \"marker\""), "\"marker\" is not known"));
  }

  TEST_CASE("wrong types") {
    CHECK(has(watch_error("name = 5"),
              "must be a text, is a number\n  name = 5\n  put it into quotes: \"5\""));
    CHECK(has(watch_error("recursive = \"yes\""), "write true, without quotes"));
    CHECK(has(watch_error("recursive = 1"), "must be true or false, is a number"));
    CHECK(has(watch_error("exclude = \"*.log\""), "put it into brackets: [\"*.log\"]"));
    CHECK(has(watch_error("exclude = [5]"), "must be a text, is a number"));
    CHECK(has(watch_error("exclude = { a = 1 }"), "must be a list of texts, is a table"));
    CHECK(has(watch_error("settle = 1.5"), "must be a duration, is a number with a fraction"));
    CHECK(has(watch_error("settle = 2020-01-01"), "is a date or time"));
    CHECK(has(watch_error("min_size = true"), "must be a size"));
    CHECK(has(error_of("[publish]\nhigh_water_mark = \"5\"\n"), "write 5, without quotes"));
    CHECK(has(error_of("[publish]\nhigh_water_mark = 99999999999999999999\n"), "too large"));
  }

  TEST_CASE("bad values say what is accepted") {
    CHECK(has(watch_error("settle = \"5 sekunden\""), "\"5 sekunden\" is no duration"));
    CHECK(has(watch_error("settle = \"5 sekunden\""), "\"1h30m\""));
    CHECK(has(watch_error("settle = 5"), "write \"5s\" if seconds are meant"));
    CHECK(has(watch_error("settle = \"5\""), "write \"5s\" if seconds are meant"));
    CHECK(has(watch_error("settle = \"-5s\""), "must not be negative"));
    CHECK(has(watch_error("settle = -5"), "must not be negative"));
    CHECK(watch_of("settle = 0").settle == 0);
    CHECK(has(watch_error("poll_interval = \"0s\""), "must be at least 10ms"));
    CHECK(has(watch_error("min_size = -1"), "must not be negative"));
    CHECK(has(watch_error("min_size = \"big\""), "\"big\" is no size"));
    CHECK(has(watch_error("min_size = 9007199254740993"), "too large"));
    CHECK(has(watch_error("backend = \"inotfy\""), "did you mean \"inotify\"?"));
    CHECK(has(watch_error("processor = \"complete\""), "did you mean \"completed\"?"));
    const std::string unknown = watch_error("processor = \"foo\"");
    for (const std::string& known : inotifier::known_processors()) CHECK(has(unknown, known));
    CHECK(has(watch_error("events = [\"file.complete\"]"), "did you mean \"file.completed\"?"));
    CHECK(has(watch_error("events = [\"IN_CREATE\"]"), "did you mean \"in_create\"?"));
    CHECK(has(watch_error("events = []"), "nothing would be published"));
    CHECK(has(watch_error("processor = \"all-events\"\nevents = [\"file.completed\"]"),
              "never says"));
    CHECK(has(error_of("[log]\nlevel = \"warn\"\n"), "did you mean \"warning\"?"));
    CHECK(has(error_of("[publish]\nhigh_water_mark = 0\n"), "must be from 1 to 2147483647"));
    CHECK(has(error_of("[daemon]\nname = \"a b\"\n"), "daemon.name"));
    CHECK(has(watch_error("require_lease = true\nwriter_check = \"off\""), "contradicts"));
  }

  TEST_CASE("patterns that cannot match are errors") {
    CHECK(has(watch_error("exclude = [\"\"]"), "empty pattern"));
    CHECK(has(watch_error("include = [\"/srv/in/*.dcm\"]"), "never absolute"));
    CHECK(has(watch_error("exclude = [\"done/\"]"), "did you mean \"done/**\"?"));
    CHECK(has(watch_error("temporary = [\"./x\"]"), "did you mean \"x\"?"));
  }

  TEST_CASE("an error within a list of several lines is told at its line") {
    CHECK(has(watch_error("exclude = [\n  \"a\",\n  \"/b\",\n]"), "f.toml:5: watch.exclude"));
  }

  TEST_CASE("paths and names of watches") {
    CHECK(has(error_of("[[watch]]\n"), "f.toml:1: watch.path: is missing"));
    CHECK(has(error_of("[[watch]]\npath = \"\"\n"), "f.toml:2: watch.path: is empty"));
    CHECK(has(error_of("[[watch]]\npath = \"~/in\"\n"), "is not expanded"));
    CHECK(has(error_of("[[watch]]\npath = \"/a\\u0000b\"\n"), "zero byte"));
    CHECK(has(watch_error("name = \"in coming\""), "for example \"in-coming\""));
    CHECK(has(watch_error("name = \"-x\""), "for example \"x\""));
    CHECK(has(watch_error("name = \"" + std::string(65, 'x') + "\""), "at most 63"));
    CHECK(has(error_of("[[watch]]\npath='/a'\nname='x'\n[[watch]]\npath='/b'\nname='x'\n"),
              "f.toml:6: watch.name: two watches are called \"x\", the first in line 3"));
  }

  TEST_CASE("endpoints") {
    const auto check = [](const std::string& endpoint, const std::string& expected) {
      CAPTURE(endpoint);
      const auto error = error_of("[publish]\nendpoint = \"" + endpoint + "\"\n");
      CHECK_MESSAGE((expected.empty() ? error.empty() : has(error, expected)), error);
    };
    check("ipc:///run/inotifier/publish", "");
    check("tcp://127.0.0.1:7556", "");
    check("tcp://127.1.2.3:*", "");
    check("tcp://[::1]:7556", "");
    check("/run/x", "did you mean \"ipc:///run/x\"?");
    check("127.0.0.1:7556", "did you mean \"tcp://127.0.0.1:7556\"?");
    check("udp://x", "begins with ipc:// or tcp://");
    check("", "begins with ipc:// or tcp://");
    check("ipc://run/x", "did you mean \"ipc:///run/x\"?");
    check("ipc://", "has no path");
    check("ipc://*", "nobody would know");
    check("ipc://@x", "abstract");
    check("ipc:///run/", "directory");
    check("ipc:///" + std::string(106, 'x'), "");
    check("ipc:///" + std::string(107, 'x'), "108 bytes; a unix socket's can have 107");
    check("tcp://:7556", "has no address");
    check("tcp://a b:7556", "is no address");
    check("tcp://localhost:7556", "did you mean \"tcp://127.0.0.1:7556\"?");
    check("tcp://127.0.0.1", "has no port");
    check("tcp://127.0.0.1:0", "has no port");
    check("tcp://127.0.0.1:65536", "has no port");
    check("tcp://127.0.0.1:75x", "has no port");
    CHECK(
        has(error_of("[publish]\nendpoint = [\"ipc:///a/b\", \"ipc:///a//b\"]\n"), "there twice"));
    CHECK(error_of("[publish]\nendpoint = [\"tcp://127.0.0.1:*\", \"tcp://127.0.0.1:*\"]\n") == "");
    CHECK(has(error_of("[publish]\nendpoint = []\n"), "empty list"));
  }

  TEST_CASE("tcp that other machines can reach needs keys, or the word that it may go without") {
    for (const char* address : {"*", "0.0.0.0", "10.0.0.1", "eth0", "[::]", "[fe80::1]"}) {
      for (const char* section : {"publish", "fetch"}) {
        CAPTURE(address);
        const auto endpoint = "tcp://" + std::string(address) + ":7556";
        const auto text = "[" + std::string(section) + "]\nendpoint = \"" + endpoint + "\"\n";
        const auto error = error_of(text);
        CHECK(has(error, "f.toml:2: " + std::string(section) + ".endpoint: \"" + endpoint +
                             "\" can be reached from other machines"));
        CHECK(has(error, "inotifier keygen"));
        CHECK(has(error, "bind \"tcp://127.0.0.1:7556\""));
        CHECK(has(error, "insecure = true"));
        CHECK(error_of(text + "[security]\ninsecure = true\n") == "");
        CHECK(error_of(text + "[security]\nserver_key = \"/k\"\nclients = \"/c\"\n") == "");
      }
    }
    CHECK(has(error_of("", {{"INOTIFIER_FETCH_ENDPOINT", "tcp://*:5"}}),
              "environment: fetch.endpoint: \"tcp://*:5\" can be reached"));
    CHECK(error_of("", {{"INOTIFIER_FETCH_ENDPOINT", "tcp://*:5"},
                        {"INOTIFIER_SECURITY_INSECURE", "yes"}}) == "");
  }

  TEST_CASE("keys come in pairs") {
    CHECK(has(error_of("[security]\nserver_key = \"/k\"\n"),
              "f.toml:2: security.server_key: without clients nobody could connect"));
    CHECK(has(error_of("[security]\nclients = \"/c\"\n"),
              "f.toml:2: security.clients: without server_key no key is asked for"));
    CHECK(has(error_of("[security]\nserver_key = \"/k\"\nclients = \"/c\"\ninsecure = true\n"),
              "f.toml:4: security.insecure: contradicts server_key"));
    CHECK(has(error_of("[security]\nserver_key = \"~/k\"\n"), "is not expanded"));
    CHECK(error_of("[security]\nserver_key = \"\"\nclients = \"\"\n") == "");
    CHECK(has(error_of("[security]\ngroup = \"a b\"\n"), "no name of a group"));
    CHECK(has(error_of("[security]\ninsecur = true\n"), "did you mean \"insecure\"?"));
    CHECK(
        parsed("", {{"INOTIFIER_SECURITY_SERVER_KEY", "/k"}, {"INOTIFIER_SECURITY_CLIENTS", "/c"}})
            .security.clients == "/c");
  }

  TEST_CASE("publish and fetch cannot share an endpoint") {
    CHECK(has(error_of("[publish]\nendpoint = \"ipc:///a/b\"\n[fetch]\nendpoint = "
                       "[\"ipc:///x\", \"ipc:///a//b\"]\n"),
              "f.toml:4: fetch.endpoint: \"ipc:///a//b\" is the endpoint of [publish] as well, in "
              "line 2"));
    const auto other = parsed("").fetch.endpoints.at(0);
    CHECK(
        has(error_of("[publish]\nendpoint = \"" + other + "\"\n"),
            "publish.endpoint: \"" + other + "\" is the endpoint of [fetch] as well, by default"));
    CHECK(error_of("[publish]\nendpoint = \"tcp://127.0.0.1:*\"\n[fetch]\nendpoint = "
                   "\"tcp://127.0.0.1:*\"\n") == "");
    CHECK(has(error_of("[fetch]\nendpoint = []\n"), "empty list"));
    CHECK(has(error_of("[fetch]\nendpoint = \"/x\"\n"), "did you mean \"ipc:///x\"?"));
  }

  TEST_CASE("the journal's keys") {
    CHECK(has(error_of("[journal]\npath = \"\"\n"), "journal.path: is empty"));
    CHECK(has(error_of("[journal]\npath = \"/x/\"\n"), "did you mean \"/x/journal.db\"?"));
    CHECK(has(error_of("[journal]\nretain = 7\n"), "has no unit"));
    CHECK(has(error_of("[journal]\nretain = \"0s\"\n"), "must be at least 1s"));
    CHECK(has(error_of("[journal]\nretain_size = \"1000kB\"\n"), "must be at least 1MiB"));
    CHECK(has(error_of("[journal]\ndurability = \"full\"\n"), "known are: process, power"));
    CHECK(has(error_of("[journal]\nretain_for = \"7d\"\n"), "did you mean \"retain\"?"));
    CHECK(parsed("", {{"INOTIFIER_JOURNAL_RETAIN_SIZE", "5MiB"}}).journal.retain_size == 5 << 20);
  }

  TEST_CASE("a previous name is nobody's present one, and only one watch's") {
    CHECK(watch_of("previous_name = \"old\"").previous_name == "old");
    CHECK(watch_of("previous_name = \"\"").previous_name.empty());
    CHECK(has(watch_error("previous_name = \"a b\""), "for example \"a-b\""));
    CHECK(has(watch_error("previous_name = \"in\""),
              "f.toml:3: watch.previous_name: \"in\" is the present name of this watch"));
    const std::string two = "[[watch]]\npath=\"/a\"\n[[watch]]\npath=\"/b\"\n";
    CHECK(has(error_of(two + "previous_name=\"a\"\n"), "\"a\" is the present name of a watch"));
    CHECK(has(error_of("[[watch]]\npath=\"/a\"\nprevious_name=\"x\"\n[[watch]]\npath=\"/b\"\n"
                       "previous_name=\"x\"\n"),
              "f.toml:6: watch.previous_name: two watches were called \"x\", the first in line 3"));
  }

  TEST_CASE("the environment goes before the file") {
    const auto config = parsed("[log]\nlevel = \"error\"\n[publish]\nhigh_water_mark = 7\n",
                               {{"INOTIFIER_LOG_LEVEL", "debug"},
                                {"INOTIFIER_PUBLISH_ENDPOINT", "ipc:///a/b, tcp://127.0.0.1:5"},
                                {"INOTIFIER_PUBLISH_HEARTBEAT", "3s"},
                                {"INOTIFIER_DAEMON_NAME", "x"},
                                {"INOTIFIER_LOG_FORMAT", ""}});
    CHECK(config.log.level == "debug");
    CHECK(config.publish.high_water_mark == 7);
    CHECK(config.publish.heartbeat == 3 * kSecond);
    CHECK(config.publish.endpoints == std::vector<std::string>{"ipc:///a/b", "tcp://127.0.0.1:5"});
    CHECK(config.daemon_name == "x");
    CHECK(config.log.format == Config::Log::Format::kText);
    CHECK(parsed("", {{"INOTIFIER_PUBLISH_HIGH_WATER_MARK", "12"}}).publish.high_water_mark == 12);
  }

  TEST_CASE("a sidecar is configured by the environment alone") {
    const auto config =
        parsed("[[watch]]\npath = \"/file\"\n", {{"INOTIFIER_WATCH", "/a/in:/b/in::"},
                                                 {"INOTIFIER_WATCH_PROCESSOR", "create-via-chunks"},
                                                 {"INOTIFIER_WATCH_SETTLE", "2s"},
                                                 {"INOTIFIER_WATCH_RECURSIVE", "no"},
                                                 {"INOTIFIER_WATCH_MIN_SIZE", "10kB"},
                                                 {"INOTIFIER_WATCH_EXCLUDE", "[]"},
                                                 {"INOTIFIER_WATCH_TEMPORARY", "*.part, *.tmp"},
                                                 {"INOTIFIER_WATCH_TEMPORARY_ADD", "[\"a,b\"]"}});
    REQUIRE(config.watches.size() == 3);
    CHECK(config.watches[0].processor == "completed");
    CHECK(config.watches[1].name == "in");
    CHECK(config.watches[2].name == "in-2");
    CHECK(config.watches[2].path == "/b/in");
    CHECK(config.watches[2].processor == "create-via-chunks");
    CHECK(config.watches[2].settle == 2 * kSecond);
    CHECK_FALSE(config.watches[2].recursive);
    CHECK(config.watches[2].min_size == 10'000);
    CHECK(config.watches[2].exclude.empty());
    CHECK(config.watches[2].temporary == std::vector<std::string>{"*.part", "*.tmp", "a,b"});
  }

  TEST_CASE("errors of the environment name the variable") {
    CHECK(error_of("", {{"INOTIFIER_LOG_LEVEL", "loud"}}) ==
          "environment: INOTIFIER_LOG_LEVEL: \"loud\" is not known\n"
          "  INOTIFIER_LOG_LEVEL=loud\n"
          "  known are: debug, info, warning, error");
    CHECK(
        has(error_of("", {{"INOTIFIER_WATCH", "~/in"}}), "INOTIFIER_WATCH: \"~\" is not expanded"));
    CHECK(has(error_of("", {{"INOTIFIER_WATCH", "/a"}, {"INOTIFIER_WATCH_EXCLUDE", "[a]"}}),
              "is no list"));
    CHECK(has(error_of("", {{"INOTIFIER_WATCH", "/a"}, {"INOTIFIER_WATCH_RECURSIVE", "maybe"}}),
              "must be true or false"));
    CHECK(has(error_of("", {{"INOTIFIER_WATCH", "/a:/b"}, {"INOTIFIER_WATCH_NAME", "x"}}),
              "two watches are called \"x\""));
  }

  TEST_CASE("options for watches that are not there are no silent nothing") {
    const auto error = error_of("[[watch]]\npath = \"/a\"\n", {{"INOTIFIER_WATCH_SETTLE", "5s"}});
    CHECK(has(error, "INOTIFIER_WATCH_SETTLE"));
    CHECK(has(error, "INOTIFIER_WATCH makes"));
  }

  TEST_CASE("a mistyped variable is an error, others are let be") {
    CHECK(
        has(error_of("", {{"INOTIFIER_LOG_LEVLE", "x"}}), "did you mean \"INOTIFIER_LOG_LEVEL\"?"));
    CHECK(has(error_of("", {{"INOTIFIER_PUBLISH_ENDPOINTS", "x"}}),
              "\"INOTIFIER_PUBLISH_ENDPOINT\""));
    CHECK(has(error_of("", {{"INOTIFIER_PUBLISH_FOO", "x"}}), "INOTIFIER_PUBLISH_HEARTBEAT"));
    CHECK(has(error_of("", {{"INOTIFIER_WATCHES", "/a"}}), "did you mean \"INOTIFIER_WATCH\"?"));
    CHECK(has(error_of("", {{"INOTIFIER_WATCH_PATH", "/a"}}), "did you mean \"INOTIFIER_WATCH\"?"));
    for (const char* name :
         {"INOTIFIER_KEY", "INOTIFIER_SERVER_KEY", "INOTIFIER_CONFIG", "INOTIFIER_PATH",
          "INOTIFIER_TYPE", "INOTIFIER_ID", "INOTIFIER_VERSION", "INOTIFIER_HOME",
          "INOTIFIER_SERVICE_HOST", "INOTIFIER_PORT", "INOTIFIER_PORT_7556_TCP_ADDR",
          "INOTIFIER_PUBLISH_SERVICE_PORT", "INOTIFIER_PUBLISH_PORT", "INOTIFIERX",
          "inotifier_log"}) {
      CAPTURE(name);
      CHECK(error_of("", {{name, "x"}}) == "");
    }
  }

  TEST_CASE("in a command of ours INOTIFIER_WATCH is a name, not a directory") {
    CHECK(parsed("", {{"INOTIFIER_WATCH", "incoming"},
                      {"INOTIFIER_ID", "0123"},
                      {"INOTIFIER_TYPE", "file.completed"},
                      {"INOTIFIER_WATCH_SETTLE", "5s"}})
              .watches.empty());
  }

  TEST_CASE("directories of the command line become watches, with options") {
    const auto config = load_config(
        only({"/a/in", "/b"}, {"settle=2s", "exclude=*.log,*.bak", "temporary=[\"x\"]",
                               "min_size=3", "recursive=false", "processor=create-via-chunks"}),
        environment({{"INOTIFIER_WATCH", "/c"},
                     {"INOTIFIER_WATCH_SETTLE", "9s"},
                     {"INOTIFIER_WATCH_EXISTING", "ignore"}}));
    REQUIRE(config.watches.size() == 2);
    CHECK(config.file.empty());
    CHECK(config.watches[0].name == "in");
    CHECK(config.watches[1].path == "/b");
    CHECK(config.watches[1].settle == 2 * kSecond);
    CHECK(config.watches[1].exclude == std::vector<std::string>{"*.log", "*.bak"});
    CHECK(config.watches[1].temporary == std::vector<std::string>{"x"});
    CHECK(config.watches[1].min_size == 3);
    CHECK_FALSE(config.watches[1].recursive);
    CHECK(config.watches[1].existing == WatchConfig::Existing::kIgnore);
  }

  TEST_CASE("bad options of the command line") {
    CHECK(arguments_error(only({"/a"}, {"setle=2s"})) ==
          "arguments: setle: unknown key\n  setle=2s\n  did you mean \"settle\"?");
    CHECK(has(arguments_error(only({"/a"}, {"settle"})), "has no value"));
    CHECK(has(arguments_error(only({"/a"}, {"path=/b"})), "directory of the command line"));
    CHECK(has(arguments_error(only({""})), "directory: is empty"));
  }

  TEST_CASE("a file that is not there, or that is a directory") {
    LoadOptions options;
    options.file = "/nonexistent/x.toml";
    CHECK(has(arguments_error(options), "/nonexistent/x.toml: No such file or directory"));
    CHECK(has(arguments_error({}, {{"INOTIFIER_CONFIG", "/nonexistent/y.toml"}}),
              "/nonexistent/y.toml"));
    options.file = "/";
    CHECK(has(arguments_error(options), "Is a directory"));
  }

  TEST_CASE("-c goes before INOTIFIER_CONFIG") {
    LoadOptions options;
    options.file = (conf_directory() / "quickstart.toml").string();
    const auto config = load_config(options, environment({{"INOTIFIER_CONFIG", "/nonexistent"}}));
    CHECK(config.file == options.file);
    REQUIRE(config.watches.size() == 1);
    CHECK(config.watches[0].name == "incoming");
  }

  TEST_CASE("the reference holds every option, with its default") {
    std::istringstream lines(content(conf_directory() / "inotifier.toml"));
    std::string text;
    std::string endpoint;
    std::set<std::string> keys;
    std::string section;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("#") && !line.starts_with("# ") && line != "#") line.erase(0, 1);
      if (line.starts_with("[")) section = line.substr(line.find_first_not_of('['));
      section = section.substr(0, section.find(']'));
      // The list is there as an example.
      if (line.starts_with("endpoint = [")) continue;
      if (const auto equals = line.find(" = ");
          !line.starts_with("#") && equals != std::string::npos) {
        keys.insert(section + "." + line.substr(0, equals));
      }
      text += line + "\n";
    }
    auto config = parsed(text);
    std::set<std::string> known;
    for (const auto& name : inotifier::config::section_names()) {
      for (const auto& key : inotifier::config::key_names(name)) known.insert(name + "." + key);
    }
    CHECK(keys == known);

    auto defaults = parsed("[[watch]]\nname = \"incoming\"\npath = \"/srv/dicom/incoming\"\n");
    defaults.daemon_name = config.daemon_name;
    defaults.daemon_name_given = true;
    defaults.publish.endpoints = {"ipc:///run/inotifier/publish"};
    defaults.fetch.endpoints = {"ipc:///run/inotifier/fetch"};
    defaults.journal.path = "/var/lib/inotifier/journal.db";
    defaults.security.group = "inotifier";
    CHECK(to_toml(config) == to_toml(defaults));
    CHECK(config == defaults);
  }

  TEST_CASE("the reference as it is shipped is the defaults") {
    auto config = parsed(content(conf_directory() / "inotifier.toml"));
    CHECK(config == parsed(""));
  }

  TEST_CASE("every preset loads") {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(conf_directory() / "presets")) {
      CAPTURE(entry.path().string());
      const auto config = parsed(content(entry.path()));
      CHECK(config.watches.size() == 1);
      CHECK(names.insert(config.watches.at(0).name).second);
    }
    CHECK(names.size() == 10);
  }
}
