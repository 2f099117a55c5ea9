#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "inotifier/wire.hpp"

using namespace inotifier;
using namespace std::string_literals;

namespace {

Event event() {
  Event out;
  out.id = "0123456789abcdef0123456789abcdef";
  out.source = "//pacs-1/incoming";
  out.type = "file.completed";
  out.subject = "a.dcm";
  out.time = "2026-11-22T10:00:00.000000000Z";
  out.sequence = "00000000000000000002";
  out.prevsequence = "00000000000000000001";
  out.data = Value::Map{{"path", "/srv/in/a.dcm"}, {"size", 3}, {"rewritten", false}};
  return out;
}

}  // namespace

TEST_CASE("an event is one line of CloudEvents JSON, in the order of the wire") {
  CHECK(to_json(event()) ==
        R"({"specversion":"1.0","id":"0123456789abcdef0123456789abcdef",)"
        R"("source":"//pacs-1/incoming","type":"file.completed","subject":"a.dcm",)"
        R"("time":"2026-11-22T10:00:00.000000000Z","sequence":"00000000000000000002",)"
        R"("prevsequence":"00000000000000000001",)"
        R"("data":{"path":"/srv/in/a.dcm","size":3,"rewritten":false}})");
}

TEST_CASE("what an event does not have is absent") {
  Event bare;
  bare.id = "1";
  bare.source = "//x";
  bare.type = "t";
  CHECK(to_json(bare) == R"({"specversion":"1.0","id":"1","source":"//x","type":"t","data":{}})");
}

TEST_CASE("every kind of value has its JSON") {
  CHECK(to_json(Value()) == "null");
  CHECK(to_json(Value(true)) == "true");
  CHECK(to_json(Value(-5)) == "-5");
  CHECK(to_json(Value(0.5)) == "0.5");
  CHECK(to_json(Value(std::numeric_limits<double>::quiet_NaN())) == "null");
  CHECK(to_json(Value(Value::Array{})) == "[]");
  CHECK(to_json(Value(Value::Array{1, "a", Value::Map{}})) == R"([1,"a",{}])");
  CHECK(to_json(Value(Value::Map{{"z", 1}, {"a", Value()}})) == R"({"z":1,"a":null})");
}

TEST_CASE("bytes are base64 with padding") {
  const auto json_of = [](const std::string& bytes) { return to_json(Value(Value::Bytes{bytes})); };
  CHECK(json_of("") == R"("")");
  CHECK(json_of("f") == R"("Zg==")");
  CHECK(json_of("fo") == R"("Zm8=")");
  CHECK(json_of("foo") == R"("Zm9v")");
  CHECK(json_of("foob") == R"("Zm9vYg==")");
  CHECK(json_of("\xff\xfe\xfd\0"s) == R"("//79AA==")");
}

TEST_CASE("text stays on its line and is UTF-8 whatever it was") {
  CHECK(to_json(Value("a\nb\"\\\t\x01")) == R"("a\nb\"\\\t\u0001")");
  CHECK(to_json(Value("ä日")) == "\"ä日\"");
  CHECK(to_json(Value("caf\xe9.txt")) == "\"caf\xef\xbf\xbd.txt\"");
  Event broken = event();
  broken.subject = "\xff";
  broken.data = Value::Map{{"\xff", "\xff"}};
  CHECK(nlohmann::json::accept(to_json(broken)));
}

TEST_CASE("a large map takes no quadratic time") {
  Value::Map map;
  for (int i = 0; i < 200'000; ++i) map.emplace_back(std::to_string(i), i);
  CHECK(nlohmann::json::parse(to_json(Value(map))).size() == 200'000);
}
