#include "wire/event_types.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace inotifier {

TEST_CASE("types of events: whatever a watch can send can be asked for") {
  const auto& types = event_types();
  for (const std::string& type : published_types()) {
    CHECK_MESSAGE(std::find(types.begin(), types.end(), type) != types.end(), type);
  }
  CHECK(why_no_type({"file.completed", "group.completed", "in_create"}).empty());
}

TEST_CASE("types of events: one that is none is named, with what was probably meant") {
  const std::string why = why_no_type({"file.removed", "file.complete"});
  CHECK(why.find("\"file.complete\"") != std::string::npos);
  CHECK(why.find("did you mean \"file.completed\"?") != std::string::npos);
  CHECK(why_no_type({"nonsense"}).find("known are: file.completed,") != std::string::npos);
  CHECK(!why_no_type({""}).empty());
}

}  // namespace inotifier
