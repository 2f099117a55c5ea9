// Random work on a small tree, as scripts that `audit` (tests/scripts/README.md): a storm is a pure
// function of its kind and seed, and one that fails is told as the shortest script found that
// still does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/script.hpp"

namespace inotifier::testing {

struct StormKind {
  std::string name;
  /// Of the `watch` line and the `fake:` line.
  const char* watch;
  const char* fake;
  /// Words out of: directories, scans, kills, power, metadata, mounts, binds, root, faults, hangs,
  /// clock, names, races, full, special, grain, births, chunks, plain (nothing excuses a second
  /// announcement), progress (status is held to what is in progress), quick (no writer rests).
  const char* with;
  /// The daemon does not pass all of them yet: not in the default run.
  bool pending = false;
};

const std::vector<StormKind>& storm_kinds();

Script make_storm(const StormKind& kind, std::uint32_t seed);

/// Plays it: "" if all holds, otherwise what does not.
std::string run_storm(const Script& storm);

/// What went wrong, without the particulars.
std::string category_of(const std::string& failure);

/// The script without the lines that its failure does not need, and what it says then.
std::string shrink(const Script& storm, const std::string& failure);

}  // namespace inotifier::testing
