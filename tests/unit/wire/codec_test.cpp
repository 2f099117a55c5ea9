#include "wire/codec.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <limits>

#include "inotifier/wire.hpp"
#include "wire/heartbeat.hpp"

using namespace inotifier;
using namespace std::string_literals;

namespace {

std::vector<std::string> keys_of(const Value& value) {
  std::vector<std::string> keys;
  for (const auto& [key, content] : *value.map()) keys.push_back(key);
  return keys;
}

std::string text_at(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  REQUIRE(found != nullptr);
  REQUIRE(found->text() != nullptr);
  return *found->text();
}

std::int64_t integer_at(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  REQUIRE(found != nullptr);
  REQUIRE(found->integer() != nullptr);
  return *found->integer();
}

Envelope envelope() {
  Envelope out;
  out.daemon_name = "pacs-1";
  out.watch = "incoming";
  out.root = "/srv/in";
  out.id = "0123456789abcdef0123456789abcdef";
  out.time = 1'795'341'600'123'456'789;
  out.position = 4711;
  out.previous = 4710;
  return out;
}

Report completed(std::string path = "a/b.dcm") {
  Report report;
  report.type = "file.completed";
  report.path = std::move(path);
  FileFacts facts;
  facts.stat.inode = 18'446'744'073'709'551'615U;
  facts.stat.size = 5'000'000'000;
  facts.stat.mtime = 1'795'341'599'000'000'001;
  facts.stat.mode = S_IFREG | 0640;
  facts.stat.uid = 1000;
  facts.stat.gid = 4'294'967'294U;
  facts.evidence = Evidence::kRename;
  facts.origin = Origin::kLive;
  facts.first_seen = 1'795'341'598'500'000'000;
  facts.from = "a/b.dcm.part";
  report.file = facts;
  return report;
}

Value sent(const Report& report, const Envelope& with) {
  std::string bytes;
  encode_report(report, with, bytes);
  return decode_value(bytes);
}

/// `depth` arrays, one in the other.
std::string nested(std::size_t depth) { return std::string(depth - 1, '\x91') + '\x90'; }

std::string minimal_event(const std::string& more = "", char keys = '\x84') {
  return keys +
         "\xabspecversion\xa3"
         "1.0\xa2id\xa2"
         "ab\xa6source\xa3//x\xa4type\xa1t"s +
         more;
}

}  // namespace

TEST_CASE("a report becomes the envelope of the wire, in its order") {
  const Value wire = sent(completed(), envelope());
  CHECK(keys_of(wire) == std::vector<std::string>{"specversion", "id", "source", "type", "subject",
                                                  "time", "sequence", "prevsequence", "data"});
  CHECK(text_at(wire, "specversion") == "1.0");
  CHECK(text_at(wire, "id") == "0123456789abcdef0123456789abcdef");
  CHECK(text_at(wire, "source") == "//pacs-1/incoming");
  CHECK(text_at(wire, "type") == "file.completed");
  CHECK(text_at(wire, "subject") == "a/b.dcm");
  CHECK(text_at(wire, "time") == "2026-11-22T10:00:00.123456789Z");
  CHECK(text_at(wire, "sequence") == "00000000000000004711");
  CHECK(text_at(wire, "prevsequence") == "00000000000000004710");
}

TEST_CASE("the data of a file holds what lstat said and why it is complete") {
  const Value wire = sent(completed(), envelope());
  const Value& data = *wire.find("data");
  CHECK(keys_of(data) == std::vector<std::string>{"watch", "root", "path", "size", "mtime", "inode",
                                                  "mode", "uid", "gid", "evidence", "origin",
                                                  "from", "first_seen", "rewritten"});
  CHECK(text_at(data, "watch") == "incoming");
  CHECK(text_at(data, "root") == "/srv/in");
  CHECK(text_at(data, "path") == "/srv/in/a/b.dcm");
  CHECK(integer_at(data, "size") == 5'000'000'000);
  CHECK(text_at(data, "mtime") == "2026-11-22T09:59:59.000000001Z");
  CHECK(text_at(data, "inode") == "18446744073709551615");
  CHECK(integer_at(data, "mode") == 0100640);
  CHECK(integer_at(data, "uid") == 1000);
  CHECK(integer_at(data, "gid") == 4'294'967'294);
  CHECK(text_at(data, "evidence") == "rename");
  CHECK(text_at(data, "origin") == "live");
  CHECK(text_at(data, "from") == "a/b.dcm.part");
  CHECK(text_at(data, "first_seen") == "2026-11-22T09:59:58.500000000Z");
  CHECK(*data.find("rewritten") == Value(false));
}

TEST_CASE("the first event of a topic has prevsequence 0") {
  Envelope first = envelope();
  first.previous = 0;
  CHECK(text_at(sent(completed(), first), "prevsequence") == "0");
}

TEST_CASE("what there is nothing to say of is left out") {
  Report report = completed();
  report.file->from.clear();
  CHECK(sent(report, envelope()).find("data")->find("from") == nullptr);
  CHECK(sent(report, envelope()).find("data")->map()->size() == 13);
}

TEST_CASE("a file that is gone or stalled has no evidence, one that is gone no mode") {
  Report report = completed();
  report.type = "file.stalled";
  Value data = *sent(report, envelope()).find("data");
  CHECK(data.find("evidence") == nullptr);
  CHECK(integer_at(data, "uid") == 1000);
  report.type = "file.removed";
  report.file->stat.mode = 0;
  data = *sent(report, envelope()).find("data");
  CHECK(keys_of(data) == std::vector<std::string>{"watch", "root", "path", "size", "mtime", "inode",
                                                  "origin", "from", "first_seen", "rewritten"});
}

TEST_CASE("further data of a report follows, in its order") {
  Report report = completed();
  report.data = {{"digest", "abc"}, {"members", Value::Array{1, 2}}};
  const Value wire = sent(report, envelope());
  const auto& data = *wire.find("data")->map();
  REQUIRE(data.size() == 16);
  CHECK(data[14] == std::pair<std::string, Value>("digest", "abc"));
  CHECK(data[15] == std::pair<std::string, Value>("members", Value::Array{1, 2}));
}

TEST_CASE("an event of the watch itself has neither subject nor path") {
  Report report;
  report.type = "watch.ready";
  report.data = {{"directories", 3}, {"files", 12}};
  const Value wire = sent(report, envelope());
  CHECK(wire.find("subject") == nullptr);
  CHECK(wire.map()->size() == 8);
  CHECK(keys_of(*wire.find("data")) ==
        std::vector<std::string>{"watch", "root", "directories", "files"});
}

TEST_CASE("a path that is no UTF-8 has U+FFFD, and its bytes beside") {
  const std::string name = "caf\xe9/\xff x.dcm";
  const Value wire = sent(completed(name), envelope());
  const Value& data = *wire.find("data");
  CHECK(text_at(data, "path") == "/srv/in/caf\xef\xbf\xbd/\xef\xbf\xbd x.dcm");
  CHECK(*data.find("path_bytes") == Value(Value::Bytes{"/srv/in/" + name}));
  CHECK(text_at(wire, "subject") == "caf%E9/%FF%20x.dcm");
  const Event event = decode(encode_value(wire));
  CHECK(event.path() == "/srv/in/" + name);
  CHECK(event.relative_path() == name);
}

TEST_CASE("a root that is no UTF-8 concerns every path below it") {
  Envelope with = envelope();
  with.root = "/srv/\xe9";
  const Value wire = sent(completed("plain"), with);
  CHECK(text_at(*wire.find("data"), "root") == "/srv/\xef\xbf\xbd");
  CHECK(*wire.find("data")->find("path_bytes") == Value(Value::Bytes{"/srv/\xe9/plain"}));
  CHECK(decode(encode_value(wire)).relative_path() == "plain");
}

TEST_CASE("the root / makes no double slash") {
  Envelope with = envelope();
  with.root = "/";
  CHECK(text_at(*sent(completed("x"), with).find("data"), "path") == "/x");
  CHECK(decode(encode_value(sent(completed("\xff"), with))).path() == "/\xff");
}

TEST_CASE("a relative path survives the subject") {
  for (const auto& path : {"a:b/c"s, "50%/a b"s, "%41"s, "new\nline"s, "ä"s, "..."s}) {
    CHECK(decode(encode_value(sent(completed(path), envelope()))).relative_path() == path);
  }
}

TEST_CASE("text in further data is made UTF-8") {
  Report report = completed();
  report.file->from = "\xff.part";
  report.data = {{"detail", "bad \xff"}};
  const Value wire = sent(report, envelope());
  CHECK(text_at(*wire.find("data"), "from") == "\xef\xbf\xbd.part");
  CHECK(text_at(*wire.find("data"), "detail") == "bad \xef\xbf\xbd");
}

TEST_CASE("encode_report replaces what was in the buffer and keeps its room") {
  std::string bytes;
  encode_report(completed(std::string(3000, 'x')), envelope(), bytes);
  const std::size_t room = bytes.capacity();
  encode_report(completed(), envelope(), bytes);
  CHECK(bytes.capacity() == room);
  CHECK(decode(bytes).path() == "/srv/in/a/b.dcm");
}

TEST_CASE("decoding and encoding a report again gives the same bytes") {
  for (const auto& path : {"plain"s, "caf\xe9"s, std::string(300, 'x'), ""s}) {
    std::string bytes;
    encode_report(completed(path), envelope(), bytes);
    CHECK(encode(decode(bytes)) == bytes);
    CHECK(encode_value(decode_value(bytes)) == bytes);
  }
}

TEST_CASE("evidence and origin have the names of the documentation") {
  CHECK(name_of(Evidence::kRename) == "rename");
  CHECK(name_of(Evidence::kCloseWrite) == "close_write");
  CHECK(name_of(Evidence::kLink) == "link");
  CHECK(name_of(Evidence::kScan) == "scan");
  CHECK(name_of(Evidence::kSettled) == "settled");
  CHECK(name_of(Evidence::kMarker) == "marker");
  CHECK(name_of(Origin::kLive) == "live");
  CHECK(name_of(Origin::kStartup) == "startup");
  CHECK(name_of(Origin::kNewDirectory) == "new_directory");
  CHECK(name_of(Origin::kOverflow) == "overflow");
  CHECK(name_of(Origin::kRescan) == "rescan");
  CHECK(name_of(Origin::kPoll) == "poll");
}

TEST_CASE("a position has 20 digits") {
  CHECK(position_text(0) == "00000000000000000000");
  CHECK(position_text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("every kind of value comes back as it went") {
  const Value value = Value::Map{
      {"nil", Value()},
      {"true", true},
      {"false", false},
      {"zero", 0},
      {"small", -1},
      {"largest", std::numeric_limits<std::int64_t>::max()},
      {"smallest", std::numeric_limits<std::int64_t>::min()},
      {"float", 0.25},
      {"text", "ä"},
      {"long text", std::string(70'000, 'x')},
      {"bytes", Value::Bytes{"\0\xff"s}},
      {"no bytes", Value::Bytes{}},
      {"array", Value::Array{1, "two", Value::Array{}, Value::Map{}}},
      {"map", Value::Map{{"", ""}, {"z", 1}, {"a", 2}}},
  };
  CHECK(decode_value(encode_value(value)) == value);
}

TEST_CASE("a whole float is an integer, others stay what they are") {
  CHECK(decode_value("\xcb\x40\x45\x00\x00\x00\x00\x00\x00"s) == Value(42));
  CHECK(decode_value("\xca\x42\x28\x00\x00"s) == Value(42));
  CHECK(decode_value("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"s) == Value(0));
  CHECK(decode_value("\xca\x3f\x00\x00\x00"s) == Value(0.5));
  CHECK(decode_value("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"s) ==
        Value(std::numeric_limits<double>::infinity()));
  CHECK(decode_value("\xcb\x43\x50\x00\x00\x00\x00\x00\x00"s) == Value(18'014'398'509'481'984.0));
}

TEST_CASE("hostile MessagePack is an error and nothing worse") {
  struct Example {
    const char* what;
    std::string bytes;
  };
  for (const Example& each : {
           Example{"nothing", ""},
           Example{"the byte that is never used", "\xc1"},
           Example{"bytes left over", "\x01\x02"},
           Example{"text longer than the input",
                   "\xdb\xff\xff\xff\xff"
                   "abc"s},
           Example{"bin longer than the input", "\xc6\xff\xff\xff\xff"s},
           Example{"array longer than the input", "\xdd\xff\xff\xff\xff\x01"s},
           Example{"map longer than the input", "\xdf\xff\xff\xff\xff\xa1x\x01"s},
           Example{"a length cut in two", "\xdb\x00"s},
           Example{"an integer cut in two", "\xcf\x00\x00"s},
           Example{"integer above 2^63", "\xcf\x80\x00\x00\x00\x00\x00\x00\x00"s},
           Example{"largest unsigned integer", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"s},
           Example{"fixext 1", "\xd4\x01x"s},
           Example{"timestamp", "\xd6\xff\x00\x00\x00\x00"s},
           Example{"ext 8", "\xc7\x02\x05xy"s},
           Example{"ext 32 longer than the input", "\xc9\xff\xff\xff\xff\x05"s},
           Example{"integer as key", "\x81\x01\x02"s},
           Example{"nil as key", "\x81\xc0\x02"s},
           Example{"bin as key", "\x81\xc4\x01x\x02"s},
           Example{"map as key", "\x81\x80\x02"s},
           Example{"array as key", "\x81\x91\x01\x02"s},
           Example{"ext as key", "\x81\xd4\x01x\x02"s},
           Example{"33 levels", nested(33)},
           Example{"a million levels", nested(1'000'000)},
       }) {
    CHECK_THROWS_AS_MESSAGE(decode_value(each.bytes), WireError, each.what);
  }
  CHECK_NOTHROW(decode_value(nested(32)));
}

TEST_CASE("the number of values is bounded") {
  const std::string five_million = "\xdd\x00\x4c\x4b\x40"s + std::string(5'000'000, '\xc0');
  CHECK_THROWS_AS(decode_value(five_million), WireError);
}

TEST_CASE("an event needs specversion, id, source and type") {
  const Event event = decode(minimal_event());
  CHECK(event.id == "ab");
  CHECK(event.source == "//x");
  CHECK(event.type == "t");
  CHECK(event.subject.empty());
  CHECK(event.data == Value(Value::Map{}));
  CHECK(event.watch().empty());
  CHECK(event.path().empty());
  CHECK(event.relative_path().empty());
  CHECK(event.size() == -1);
  for (const std::string key : {"specversion", "id", "source", "type"}) {
    for (const Value& wrong : {Value(), Value(1), Value(""), Value(Value::Bytes{"1.0"})}) {
      Value::Map map = *decode_value(minimal_event()).map();
      for (auto& [name, value] : map) {
        if (name == key) value = wrong;
      }
      CHECK_THROWS_AS(decode(encode_value(map)), WireError);
    }
  }
  CHECK_THROWS_AS(decode("\x90"s), WireError);
  CHECK_THROWS_AS(decode("\xc0"s), WireError);
}

TEST_CASE("an event may hold more, or less, than is known") {
  CHECK(decode(minimal_event("\xa3new\x91\x01"s, '\x85')) == decode(minimal_event()));
  CHECK(decode(minimal_event("\xa7subject\xc0"s, '\x85')) == decode(minimal_event()));
  CHECK(decode(minimal_event("\xa4"
                             "data\xc0"s,
                             '\x85')) == decode(minimal_event()));
  CHECK_THROWS_AS(decode(minimal_event("\xa7subject\x01"s, '\x85')), WireError);
  CHECK_THROWS_AS(decode(minimal_event("\xa4"
                                       "data\x01"s,
                                       '\x85')),
                  WireError);
  CHECK_THROWS_AS(decode(minimal_event("\x01", '\x84')), WireError);
}

TEST_CASE("absent and nil mean the same") {
  const Value map = Value::Map{{"nil", Value()}, {"there", 0}};
  CHECK(map.find("nil") == nullptr);
  CHECK(map.find("absent") == nullptr);
  REQUIRE(map.find("there") != nullptr);
  CHECK(Value(1).find("there") == nullptr);
}

TEST_CASE("a heartbeat says where every topic stands") {
  const Value heartbeat = decode_value(
      encode_heartbeat("8f14e45f-ceea-467f-a0e6-6f3c1b1d3a11", "0.1.0", 1'795'341'600'000'000'000,
                       {{"file.completed/incoming/", 7}, {"watch.ready/incoming/", 5}}));
  CHECK(heartbeat ==
        Value(Value::Map{{"stream", "8f14e45f-ceea-467f-a0e6-6f3c1b1d3a11"},
                         {"protocol", 1},
                         {"version", "0.1.0"},
                         {"time", "2026-11-22T10:00:00.000000000Z"},
                         {"last", Value::Map{{"file.completed/incoming/", "00000000000000000007"},
                                             {"watch.ready/incoming/", "00000000000000000005"}}}}));
  CHECK(decode_value(encode_heartbeat("s", "v", 0, {})).find("last")->map()->empty());
}

// unit_tests -ns -tc="rate of encode_report"
TEST_CASE("rate of encode_report" * doctest::skip()) {
  const Report report =
      completed("2026/11/22/1.2.840.113619.2.55.3.604688119.971.1448954400.467.dcm");
  Envelope with = envelope();
  std::string bytes;
  std::size_t sum = 0;
  constexpr int kRounds = 2'000'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    ++with.position;
    encode_report(report, with, bytes);
    sum += bytes.size();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  MESSAGE((kRounds / took.count()), " events/s of ", (sum / kRounds), " bytes");
}
