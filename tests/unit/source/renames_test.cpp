#include "source/renames.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace inotifier;

namespace {

class Watched final : public Renames::Watch {
 public:
  Watched(Renames& renames, std::string root)
      : root_(std::move(root)), number(renames.add(*this)) {}
  const std::string& root_path() const override { return root_; }
  void on_moved(const MoveHalf& from, const MoveHalf& to) override {
    told.push_back("moved " + from.name + " " + to.name);
  }
  void on_arrived(const MoveHalf& to, std::string_view from_path) override {
    told.push_back("arrived " + to.name + " from " + std::string(from_path));
  }
  void on_left(const MoveHalf& from) override { told.push_back("left " + from.name); }
  MoveHalf half(const char* name) const { return {number, kRootDir, name, name, false}; }

 private:
  std::string root_;

 public:
  std::size_t number;
  std::vector<std::string> told;
};

}  // namespace

TEST_CASE("renames: both halves in one watch") {
  Renames renames;
  Watched watch(renames, "/w");
  renames.on_from(7, watch.half("a"), 0);
  renames.on_to(7, watch.half("b"), 0);
  CHECK(watch.told == std::vector<std::string>{"moved a b"});
}

TEST_CASE("renames: from one watch to another") {
  Renames renames;
  Watched first(renames, "/1");
  Watched second(renames, "/2");
  renames.on_to(7, second.half("b"), 0);
  renames.on_from(7, first.half("a"), 0);
  renames.on_time(MovePairing::kToWait);
  CHECK(first.told == std::vector<std::string>{"left a"});
  CHECK(second.told == std::vector<std::string>{"arrived b from /1/a"});
}

TEST_CASE("renames: a watch that was removed is told nothing") {
  Renames renames;
  Watched watch(renames, "/w");
  Watched removed(renames, "/r");
  renames.on_from(7, removed.half("a"), 0);
  renames.on_to(7, watch.half("b"), 0);
  renames.remove(removed.number);
  renames.on_time(MovePairing::kFromWait);
  CHECK(removed.told.empty());
  CHECK(watch.told == std::vector<std::string>{"arrived b from "});
  CHECK_FALSE(renames.deadline());
}
