#include "daemon/status.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace inotifier {
namespace {

const Value& at(const Value::Map& map, std::string_view wanted) {
  for (const auto& [key, value] : map) {
    if (key == wanted) return value;
  }
  FAIL("no key " << wanted);
  return map.front().second;
}

bool ready_with(const std::vector<WatchStatus>& watches, bool blocked) {
  Value::Map status{{"ready", false}, {"watches", Value::Array{}}};
  fill_status(status, watches, blocked, {});
  CHECK(std::get<Value::Array>(at(status, "watches").v).size() == watches.size());
  return at(status, "ready") == Value(true);
}

TEST_CASE("status: ready means every watch is, none is lost, and the journal has room") {
  WatchStatus good;
  good.ready = true;
  WatchStatus lost = good;
  lost.lost = true;
  CHECK(ready_with({}, false));
  CHECK(ready_with({good}, false));
  CHECK_FALSE(ready_with({good}, true));
  CHECK_FALSE(ready_with({good, lost}, false));
  CHECK_FALSE(ready_with({good, WatchStatus{}}, false));
}

TEST_CASE("status: one line for people names what is out of order") {
  WatchStatus good;
  good.ready = true;
  good.files = 100;
  WatchStatus begun;
  begun.files = 20;
  begun.in_progress = 4;
  WatchStatus lost = good;
  lost.lost = true;
  lost.degraded = {"no_lease"};
  CHECK(status_line({}, false) == "0 watches");
  CHECK(status_line({good}, false) == "1 watch, 100 files known");
  CHECK(
      status_line({good, begun, lost}, true) ==
      "3 watches, 1 being scanned, 1 lost, 1 degraded, 220 files known, 4 in progress, no room for "
      "the journal");
}

TEST_CASE("status: calls without an answer are named, with the time of the call") {
  WatchStatus watch;
  watch.name = "in";
  watch.path = "/srv/in";
  watch.unanswered = {{"d/x", "open", 40 * kSecond}};
  Value::Map status{{"watches", Value::Array{}}};
  fill_status(status, {watch}, false, {100 * kSecond, 1'700'000'060 * kSecond});
  CHECK(at(status, "unanswered") ==
        Value(Value::Array{Value::Map{{"watch", "in"},
                                      {"path", "/srv/in/d/x"},
                                      {"call", "open"},
                                      {"since", "2023-11-14T22:13:20.000000000Z"}}}));
}

}  // namespace
}  // namespace inotifier
