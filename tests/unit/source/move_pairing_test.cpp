#include "source/move_pairing.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

namespace {

MoveHalf half(std::size_t watch, const char* name) { return {watch, kRootDir, name, name, false}; }
constexpr Nanos kMs = 1'000'000;

}  // namespace

TEST_CASE("pairing: from, then to") {
  MovePairing pairing;
  pairing.add_from(7, half(0, "a"), 0);
  CHECK(pairing.deadline());
  const auto outcome = pairing.add_to(7, half(0, "b"), kMs, false);
  REQUIRE(outcome);
  CHECK(outcome->from->name == "a");
  CHECK(outcome->to->name == "b");
  CHECK_FALSE(pairing.expire(1'000 * kMs));
  CHECK_FALSE(pairing.deadline());
}

TEST_CASE("pairing: to before from, in the queue of another watch") {
  MovePairing pairing;
  CHECK_FALSE(pairing.add_to(7, half(1, "b"), 0, true));
  REQUIRE(pairing.deadline());
  CHECK(*pairing.deadline() == MovePairing::kToWait);
  pairing.add_from(7, half(0, "a"), kMs);
  CHECK_FALSE(pairing.expire(MovePairing::kToWait - 1));
  const auto outcome = pairing.expire(MovePairing::kToWait);
  REQUIRE(outcome);
  CHECK(outcome->from->watch == 0);
  CHECK_FALSE(outcome->from_is_told);
  CHECK(outcome->to->watch == 1);
  CHECK_FALSE(pairing.expire(10 * MovePairing::kFromWait));
}

TEST_CASE("pairing: watches that overlap have halves of their own") {
  MovePairing pairing;
  pairing.add_from(7, half(0, "a.part"), 0);
  pairing.add_from(7, half(1, "a.part"), 0);  // read between the first one's halves
  const auto second = pairing.add_to(7, half(1, "a"), 0, true);
  const auto first = pairing.add_to(7, half(0, "a"), 0, true);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->from->watch == 0);
  CHECK(second->from->watch == 1);
  CHECK_FALSE(pairing.expire(10 * MovePairing::kFromWait));
}

TEST_CASE("pairing: a watch inside another sees the half that came from outside of it") {
  MovePairing pairing;
  pairing.add_from(7, half(0, "a.part"), 0);
  CHECK_FALSE(pairing.add_to(7, half(1, "a"), 0, true));
  const auto outer = pairing.add_to(7, half(0, "in/a"), 0, true);
  REQUIRE(outer);
  CHECK(outer->from->watch == 0);
  const auto inner = pairing.expire(MovePairing::kToWait);
  REQUIRE(inner);
  CHECK(inner->to->watch == 1);
  CHECK(inner->from->name == "a.part");
  CHECK(inner->from_is_told);
  CHECK_FALSE(pairing.expire(10 * MovePairing::kFromWait));
}

TEST_CASE("pairing: with one watch a lone to comes from outside, at once") {
  MovePairing pairing;
  const auto outcome = pairing.add_to(7, half(0, "b"), 0, false);
  REQUIRE(outcome);
  CHECK_FALSE(outcome->from);
  CHECK(outcome->to->name == "b");
}

TEST_CASE("pairing: halves without a partner expire, each at its time, once") {
  MovePairing pairing;
  pairing.add_from(1, half(0, "gone"), 0);
  CHECK_FALSE(pairing.add_to(2, half(0, "come"), 0, true));
  CHECK_FALSE(pairing.expire(MovePairing::kToWait - 1));
  auto outcome = pairing.expire(MovePairing::kToWait);
  REQUIRE(outcome);
  CHECK(outcome->to->name == "come");
  CHECK_FALSE(pairing.expire(MovePairing::kToWait));
  REQUIRE(pairing.deadline());
  CHECK(*pairing.deadline() == MovePairing::kFromWait);
  outcome = pairing.expire(MovePairing::kFromWait);
  REQUIRE(outcome);
  CHECK(outcome->from->name == "gone");
  CHECK_FALSE(pairing.expire(10 * MovePairing::kFromWait));
}

TEST_CASE("pairing: different cookies are different renames") {
  MovePairing pairing;
  pairing.add_from(1, half(0, "a"), 0);
  pairing.add_from(2, half(0, "b"), 0);
  const auto second = pairing.add_to(2, half(0, "c"), 0, false);
  const auto first = pairing.add_to(1, half(0, "d"), 0, false);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->from->name == "a");
  CHECK(second->from->name == "b");
}

TEST_CASE("pairing: a cookie that comes round again does not expire with its forerunner") {
  MovePairing pairing;
  pairing.add_from(1, half(0, "old"), 0);
  REQUIRE(pairing.add_to(1, half(0, "x"), 0, false));
  pairing.add_from(1, half(0, "new"), 100 * kMs);
  CHECK_FALSE(pairing.expire(MovePairing::kFromWait));
  const auto outcome = pairing.expire(100 * kMs + MovePairing::kFromWait);
  REQUIRE(outcome);
  CHECK(outcome->from->name == "new");
}
