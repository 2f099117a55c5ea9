// clients/vectors: examples of every request, reply and event, for those who write a client. Each
// is made here, and what lies there must be the same, byte by byte. After a change of the wire run
// this test with INOTIFIER_WRITE_VECTORS=1, and look at what git says.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "inotifier/wire.hpp"
#include "support/fetch_world.hpp"
#include "support/kept_journal.hpp"
#include "wire/codec.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

constexpr const char* kStream = "6f1c1e0e-3f0a-4c58-9d52-0d1f3c6d7a10";

/// "requests/hello" -> bytes.
using Vectors = std::map<std::string, std::string>;

std::string event(std::string_view type, std::string_view path, bool has_file,
                  const Value::Map& data = {}, std::uint32_t mode = 0100644,
                  std::string_view from = "", std::uint64_t previous = 0) {
  Report report;
  report.type = type;
  report.path = path;
  report.data = data;
  if (has_file) {
    FileFacts& facts = report.file.emplace();
    facts.stat.inode = 18446744073709551615U;
    facts.stat.size = 9007199254740991;
    facts.stat.mtime = 1795341600123456789;
    facts.stat.mode = mode;
    facts.stat.uid = 1000;
    facts.stat.gid = 100;
    facts.evidence = Evidence::kRename;
    facts.first_seen = 1795341599000000000;
    facts.from = from;
  }
  Envelope envelope;
  envelope.daemon_name = "pacs-1";
  envelope.watch = "incoming";
  envelope.root = "/srv/in";
  envelope.id = "0123456789abcdef0123456789abcdef";
  envelope.time = 1795341600200000000;
  envelope.position = 1882569474146306;
  envelope.previous = previous;
  std::string body;
  encode_report(report, envelope, body);
  return body;
}

void add_events(Vectors& vectors) {
  const std::uint64_t previous = 1882569474146305;
  vectors["events/file.completed"] =
      event("file.completed", "a/b.dcm", true, {}, 0100644, "a/b.dcm.part", previous);
  vectors["events/first-of-its-topic"] = event("file.completed", "b.dcm", true);
  vectors["events/name-is-no-utf-8"] = event("file.completed", "caf\xe9\n.txt", true);
  vectors["events/name-to-be-encoded"] = event("file.completed", "a:b c?#%/\xc3\xa4", true);
  vectors["events/file.removed"] = event("file.removed", "a/b.dcm", true, {}, 0);
  vectors["events/file.stalled"] = event("file.stalled", "a/b.dcm.part", true);
  vectors["events/watch.ready"] =
      event("watch.ready", "", false, {{"directories", 3}, {"files", 12}});
  vectors["events/watch.degraded"] =
      event("watch.degraded", "", false,
            {{"reason", "unreadable"}, {"directory", "a"}, {"detail", "permission denied"}});
  vectors["events/in_moved_to"] =
      event("in_moved_to", "a/b", false,
            {{"mask", 128}, {"cookie", 4294967295}, {"name", "b"}, {"is_dir", false}});
  // Written by somebody else: whole floats, nil for absent, keys nobody knows, no prevsequence.
  vectors["events/other-ways-to-say-it"] = encode_value(Value::Map{
      {"x-unknown", Value::Array{1, Value()}},
      {"data", Value::Map{{"watch", "incoming"}, {"size", 1.5}, {"path", Value()}, {"deep", true}}},
      {"type", "file.completed"},
      {"subject", Value()},
      {"source", "//pacs-1/incoming"},
      {"id", "0123456789abcdef0123456789abcdef"},
      {"sequence", "00001882569474146306"},
      {"specversion", "1.0"}});
}

const char* const kPosition = "00001882569474146306";

std::map<std::string, Value::Map> requests() {
  const auto owner = [](std::string_view name, Value::Map more) {
    Value::Map request{
        {"op", name}, {"request", 7}, {"consumer", "thumbnails"}, {"client", "c0ffee"}};
    for (auto& entry : more) request.push_back(std::move(entry));
    return request;
  };
  const Value::Map acked{{"stream", kStream}, {"ack", kPosition}};
  return {
      {"hello", {{"op", "hello"}}},
      {"fetch", owner("fetch", {})},
      {"fetch-all-arguments", owner("fetch", {{"stream", kStream},
                                              {"ack", kPosition},
                                              {"types", Value::Array{"file.completed"}},
                                              {"watches", Value::Array{"incoming"}},
                                              {"limit", 4096},
                                              {"wait", 30.5},
                                              {"lease", 120},
                                              {"start", "state"},
                                              {"create", true}})},
      {"fetch-after", {{"op", "fetch"}, {"request", "r-1"}, {"after", "0"}, {"limit", 10}}},
      {"fetch-since", {{"op", "fetch"}, {"since", "2026-11-22T10:00:00+01:00"}}},
      {"ack", owner("ack", acked)},
      {"touch", owner("touch", {{"lease", 300}})},
      {"release", owner("release", {})},
      {"update",
       {{"op", "update"},
        {"consumer", "thumbnails"},
        {"types", Value::Array{"file.completed", "file.removed"}},
        {"watches", Value::Array{}}}},
      {"fail",
       owner("fail",
             {{"stream", kStream}, {"position", kPosition}, {"reason", "exit 3"}, {"tries", 10}})},
      {"failed", {{"op", "failed"}, {"consumer", "thumbnails"}, {"after", "0"}, {"limit", 10}}},
      {"retry",
       {{"op", "retry"}, {"consumer", "thumbnails"}, {"positions", Value::Array{kPosition}}}},
      {"seek", {{"op", "seek"}, {"consumer", "thumbnails"}, {"to", "start"}}},
      {"consumers", {{"op", "consumers"}}},
      {"forget", {{"op", "forget"}, {"consumer", "thumbnails"}}},
      {"status", {{"op", "status"}}},
  };
}

void add_replies(Vectors& vectors) {
  const auto reply = [](bool ok, Value::Map fields) {
    Value::Map map{{"ok", ok}, {"protocol", 1}, {"stream", kStream}, {"request", 7}};
    for (auto& field : fields) map.push_back(std::move(field));
    return encode_value(Value(std::move(map)));
  };
  const auto completed = decode_value(vectors.at("events/file.completed"));
  vectors["replies/hello"] = reply(true, {{"version", "0.1.0"},
                                          {"daemon", "pacs-1"},
                                          {"time", "2026-11-22T10:00:00.000000000Z"},
                                          {"first", "0"},
                                          {"last", kPosition},
                                          {"access", "all"}});
  vectors["replies/fetch"] = reply(true, {{"events", Value::Array{completed}},
                                          {"cursor", kPosition},
                                          {"behind", 12},
                                          {"lost", Value()},
                                          {"created", true}});
  vectors["replies/fetch-nothing"] = reply(
      true, {{"events", Value::Array{}}, {"cursor", kPosition}, {"behind", 0}, {"lost", Value()}});
  vectors["replies/fetch-lost"] =
      reply(true, {{"events", Value::Array{completed}},
                   {"cursor", kPosition},
                   {"behind", 0},
                   {"lost", Value::Map{{"first", "00000000000000000001"}, {"last", kPosition}}}});
  vectors["replies/standby"] = reply(true, {{"standby", Value::Map{{"expires_in", 12.25}}}});
  vectors["replies/ack"] = reply(true, {{"position", kPosition}});
  vectors["replies/touch"] = reply(true, {{"expires_in", 300.0}});
  vectors["replies/release"] = reply(true, {});
  vectors["replies/update"] =
      reply(true, {{"types", Value::Array{"file.completed"}}, {"watches", Value::Array{}}});
  vectors["replies/fail"] = reply(true, {{"kept", true}, {"failed", 1}});
  vectors["replies/failed"] =
      reply(true, {{"failed", Value::Array{Value::Map{{"position", kPosition},
                                                      {"time", "2026-11-22T10:00:00.000000000Z"},
                                                      {"reason", "exit 3"},
                                                      {"tries", 10},
                                                      {"event", completed}}}},
                   {"more", false}});
  vectors["replies/retry"] = reply(true, {{"retried", 500}, {"more", true}});
  for (const char* code : {"bad_request", "unknown_op", "too_large", "stream_changed", "not_owner",
                           "bad_ack", "unknown_consumer", "not_allowed", "busy"}) {
    vectors["replies/error-" + std::string(code)] =
        reply(false, {{"error", Value::Map{{"code", code}, {"message", "for a person"}}}});
  }
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Indented, so that people can read it and git compare it.
std::string pretty(const Value& value) {
  return nlohmann::ordered_json::parse(to_json(value)).dump(2) + "\n";
}

}  // namespace

TEST_CASE("vectors: what is published for writers of clients is what we say and understand") {
  Vectors vectors;
  add_events(vectors);
  add_replies(vectors);
  for (const auto& [name, request] : requests()) {
    vectors["requests/" + name] = encode_value(Value(request));
  }
  const std::filesystem::path directory =
      std::filesystem::path(INOTIFIER_SOURCE_DIR) / "clients" / "vectors";
  const bool write = std::getenv("INOTIFIER_WRITE_VECTORS") != nullptr;
  std::size_t files = 0;
  for (const auto& vector : vectors) {
    const auto& [name, bytes] = vector;
    INFO(vector.first);
    const auto packed = directory / (name + ".msgpack");
    const auto json = directory / (name + ".json");
    if (write) {
      std::filesystem::create_directories(packed.parent_path());
      std::ofstream(packed, std::ios::binary) << bytes;
      std::ofstream(json) << pretty(decode_value(bytes));
    }
    CHECK(read(packed) == bytes);
    CHECK(read(json) == pretty(decode_value(read(packed))));
    if (name.starts_with("events/")) {
      // Both ways: what is read and said again means the same.
      CHECK(decode(encode(decode(read(packed)))) == decode(read(packed)));
    }
    files += 2;
  }
  for (const char* kind : {"requests", "replies", "events"}) {
    for (const auto& entry : std::filesystem::directory_iterator(directory / kind)) {
      const auto name = std::string(kind) + "/" + entry.path().stem().string();
      INFO(name);
      CHECK(vectors.contains(name));
    }
  }
}

TEST_CASE("vectors: the service understands every request, and its replies have these keys") {
  KeptJournal kept;
  FetchWorld world(kept.path());
  const auto position = world.emit();
  const auto keys = [](const Value& value) {
    std::map<std::string, std::size_t> result;
    for (const auto& [key, content] : *value.map()) result[key] = content.v.index();
    return result;
  };
  for (const char* first : {"fetch", "fail"}) {
    // So that there is something to be acked, failed and retried.
    Value::Map request{{"op", first}, {"consumer", "thumbnails"}, {"client", "c0ffee"}};
    if (std::string_view(first) == "fail") {
      request.emplace_back("stream", world.journal->events().stream());
      request.emplace_back("position", position_text(position));
    }
    REQUIRE(*world.ask(request).find("ok") == true);
  }
  for (const char* name :
       {"hello", "fetch", "ack", "touch", "fail", "failed", "update", "retry", "seek", "consumers",
        "status", "fetch-after", "fetch-since", "fetch", "release", "forget"}) {
    INFO(name);
    Value::Map request = requests().at(name);
    for (auto& [key, value] : request) {
      if (key == "stream") value = world.journal->events().stream();
      if (value == Value(kPosition)) value = position_text(position);
    }
    const Value reply = world.ask(request);
    INFO(to_json(reply));
    CHECK(*reply.find("ok") == true);
    const auto vector = std::filesystem::path(INOTIFIER_SOURCE_DIR) / "clients" / "vectors" /
                        "replies" / (std::string(name) + ".msgpack");
    if (!std::filesystem::exists(vector)) continue;
    auto wanted = keys(decode_value(read(vector)));
    auto got = keys(reply);
    for (auto* map : {&wanted, &got}) {  // not in every reply
      map->erase("created");
      map->erase("request");
    }
    for (auto* map : {&wanted, &got}) {  // whole floats are read as integers
      if (map->contains("expires_in")) (*map)["expires_in"] = 0;
    }
    CHECK(wanted == got);
  }
}
