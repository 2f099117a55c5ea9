// How a watch wants its files completed: the keys of [[watch]] that concern it. A plain value.
#pragma once

#include <cstdint>

#include "inotifier/time.hpp"

namespace inotifier {

struct CompletionOptions {
  /// create-via-chunks: only what lived under a temporary name arrives.
  bool only_via_temporary = false;
  bool writer_check = true;
  bool announce_renamed = true;  ///< false: a rename of an announced file is a file.moved
  bool ignore_existing = false;
  Nanos settle = 0;
  Nanos stalled_after = 0;  ///< 0 = never
  std::int64_t min_size = 0;
};

}  // namespace inotifier
