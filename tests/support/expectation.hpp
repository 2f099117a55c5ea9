// One `expect` line against one event.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "inotifier/event.hpp"
#include "support/script.hpp"

namespace inotifier::testing {

/// Values that a script has given a name to with `key=$name`.
using Bindings = std::map<std::string, std::string>;

struct Expectation {
  int line = 0;
  std::string type;
  bool any_path = true;
  std::string path;
  KeyValues values;

  /// Binds names that are not bound yet, if all the rest is right.
  bool matches(const Event& event, Bindings& bindings) const;
  std::string text() const;
};

/// The value of a key of the envelope or of the data, as text; "nil" if there is none.
std::string value_of(const Event& event, const std::string& key);
/// Type, path and the telling keys, and whatever else `like` compares.
std::string text_of(const Event& event, const Expectation* like);

/// Expected and got, line by line.
std::string side_by_side(const std::vector<Expectation>& expected, const std::vector<Event>& got,
                         const std::vector<bool>& wrong);

}  // namespace inotifier::testing
