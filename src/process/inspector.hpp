// Looks at a candidate: has it its final name, is it a regular file, was it quiet for long enough,
// and does nobody have it open for writing? Owned by a Completion; pipeline thread.
#pragma once

#include <string>

#include "process/candidate.hpp"
#include "process/completion_options.hpp"
#include "process/context.hpp"
#include "process/filters.hpp"

namespace inotifier {

/// What a look found.
enum class Look {
  kDrop,        ///< it is no candidate (any more)
  kGone,        ///< nothing has its name
  kNotRegular,  ///< something that is no regular file has its name
  kWait,        ///< look again when the candidate is due
  kComplete,    ///< nobody writes it
};

class Inspector {
 public:
  /// Both live as long as the inspector.
  Inspector(const CompletionOptions& options, const Filters& filters)
      : options_(options), filters_(filters) {}

  /// kComplete: `stat` is of the moment that was found quiet. `path` is filled whenever it is
  /// known.
  Look look(Candidate& candidate, Context& context, std::string& path, Stat& stat) const;
  /// The same for what a poller saw: only that counts, the disk is out of reach.
  Look look_at_polled(Candidate& candidate, const Stat& stat, const Now& now) const;
  /// kComplete: nobody has touched this temporary file for stalled_after.
  Look look_at_temporary(Candidate& candidate, Context& context, Stat& stat) const;
  Look temporary_polled(Candidate& candidate, const Stat& stat, const Now& now) const;

 private:
  Look look_at_writer(Candidate& candidate, Context& context, Stat& stat) const;
  Look without_leases(Candidate& candidate, Context& context, Stat& stat) const;
  Look without_writer(Candidate& candidate, Context& context, const Stat& stat) const;
  bool is_old(const Candidate& candidate, const Stat& stat, const Now& now, Nanos age) const;

  const CompletionOptions& options_;
  const Filters& filters_;
};

bool is_regular(const Stat& stat);

}  // namespace inotifier
