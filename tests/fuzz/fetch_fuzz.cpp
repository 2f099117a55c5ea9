// Requests to the fetch service: any bytes, and sequences that make sense up to a point. Every one
// is answered exactly once, in known words, and in the end nobody waits.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>

#include "base/log.hpp"
#include "support/fetch_world.hpp"
#include "wire/codec.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  unsigned next(unsigned below) {
    if (bytes_.empty()) return 0;
    const unsigned value = bytes_.front() % below;
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::string take(std::size_t size) {
    const auto taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// One for all inputs: opening a journal takes milliseconds.
class Fuzzed : public FetchWorld {
 public:
  static Fuzzed& get() {
    static Fuzzed world = [] {
      log::set_up("error", false);
      // In memory where that is possible: some requests wait for the disk.
      std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
      name += "/inotifier-fuzz-XXXXXX";
      require(::mkdtemp(name.data()) != nullptr, "mkdtemp");
      static std::string directory;
      directory = name;
      std::atexit([] { std::filesystem::remove_all(directory); });
      return Fuzzed(directory + "/journal.db");
    }();
    return world;
  }

  void begin() {
    service.reset();
    for (const char* sql : {"DELETE FROM consumers", "DELETE FROM failures"}) {
      journal->database()->run(sql);
    }
    if (journal->events().count() > 300) {
      const std::string path = options.path;
      stop();
      for (const char* part : {"", "-wal"}) std::filesystem::remove(path + part);
      start(path);
    } else {
      start_service();
    }
    replies.clear();
    sizes.clear();
    if (journal->events().count() < 4) emit("file.completed", "in", 4);
  }

 private:
  using FetchWorld::FetchWorld;
};

Value argument(Choices& choices, Fuzzed& world, unsigned kind) {
  static constexpr const char* kTexts[] = {
      "c",     "d", "me", "you", "oldest",         "now", "state",
      "start", "0", "",   "-",   "file.completed", "in",  "2026-11-22T10:00:00Z"};
  switch (kind) {
    case 0:
      return Value(kTexts[choices.next(std::size(kTexts))]);
    case 1:
      return position_text(world.journal->events().last_position() - choices.next(8) + 2);
    case 2:
      return Value(static_cast<std::int64_t>(choices.next(70)) - 2);
    case 3:
      return Value(0.25 * choices.next(255));
    case 4:
      return Value(world.journal->events().stream());
    case 5:
      return Value(choices.next(2) == 0);
    case 6: {
      Value::Array list;
      for (unsigned left = choices.next(3); left > 0; --left) {
        list.push_back(argument(choices, world, choices.next(3)));
      }
      return list;
    }
    default:
      return {};
  }
}

Value::Map request_of(Choices& choices, Fuzzed& world) {
  static constexpr const char* kOps[] = {"hello",     "fetch",  "ack",    "touch", "release",
                                         "update",    "fail",   "failed", "retry", "seek",
                                         "consumers", "forget", "status", "fetch", "ack"};
  Value::Map request{{"op", kOps[choices.next(std::size(kOps))]}};
  const unsigned usual = choices.next(8);
  if (usual != 0) {
    request.emplace_back("consumer", choices.next(3) == 0 ? "d" : "c");
    request.emplace_back("client", choices.next(3) == 0 ? "you" : "me");
    if (usual > 3) request.emplace_back("stream", world.journal->events().stream());
    if (usual > 5) request.emplace_back("ack", argument(choices, world, 1));
    if (usual == 7) request.emplace_back("wait", argument(choices, world, 2));
  }
  static constexpr const char* kKeys[] = {"consumer", "client",    "stream", "ack",    "types",
                                          "watches",  "limit",     "wait",   "lease",  "start",
                                          "create",   "after",     "since",  "reason", "tries",
                                          "position", "positions", "to",     "unknown"};
  for (unsigned left = choices.next(4); left > 0; --left) {
    const unsigned key = choices.next(std::size(kKeys));
    request.emplace_back(kKeys[key], argument(choices, world, choices.next(8)));
  }
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::set<std::string> kCodes{"bad_request",    "unknown_op",       "too_large",
                                            "stream_changed", "not_owner",        "bad_ack",
                                            "not_allowed",    "unknown_consumer", "busy"};
  Choices choices({data, size});
  Fuzzed& world = Fuzzed::get();
  world.begin();
  std::size_t sent = 0;
  while (!choices.done()) {
    switch (choices.next(8)) {
      case 0:
        world.emit(choices.next(2) == 0 ? "file.completed" : "other", "in", 1);
        break;
      case 1:
        world.pass(static_cast<Nanos>(choices.next(40)) * kSecond / 2);
        break;
      case 2:
        world.service->on_request({std::to_string(sent++)}, choices.take(choices.next(255)), true,
                                  world.now);
        break;
      case 3:
        world.turn();
        break;
      default:
        world.send(std::to_string(sent++), request_of(choices, world), choices.next(16) != 0);
    }
  }
  world.pass(130 * kSecond);
  require(world.service->polls() == 0, "somebody still waits");
  require(world.replies.size() == sent, "not every request has one reply");
  std::set<std::string> answered;
  for (const auto& reply : world.replies) {
    require(answered.insert(reply.peer.front()).second, "answered twice");
    const Value* ok = reply.body.find("ok");
    require(ok != nullptr && reply.body.find("stream") != nullptr, "no reply of ours");
    if (*ok == Value(true)) continue;
    const Value* error = reply.body.find("error");
    require(error != nullptr && error->find("code") != nullptr, "an error without a code");
    require(kCodes.contains(*error->find("code")->text()), "an unknown error");
  }
  return 0;
}
