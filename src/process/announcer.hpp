// What becomes of a file that nobody writes: whether it is news, and the report and the row of the
// file table if it is. Owned by a Completion; pipeline thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "process/candidate.hpp"
#include "process/completion_options.hpp"
#include "process/context.hpp"
#include "process/inspector.hpp"
#include "state/file_table.hpp"

namespace inotifier {

class Announcer {
 public:
  /// Both live as long as the announcer.
  Announcer(const CompletionOptions& options, FileTable& table)
      : options_(options), table_(table) {}

  /// Nobody writes it any more: kDrop when the matter is settled, with or without an announcement;
  /// kWait: decide again, after another look, when it is due.
  Look decide(Candidate& candidate, const Stat& stat, std::string_view path, Context& context);
  /// The first scan has ended and this file that it found is not decided: it gets a row, so that a
  /// start knows it; what comes of it is compared with that.
  void keep_undecided(const Candidate& candidate, Context& context);
  /// It is not finished: it was not there, and loses the row that keep_undecided() gave it.
  void drop_undecided(const Candidate& candidate);
  /// A temporary name was seen in this watch.
  void note_temporary() { temporaries_seen_ = true; }
  /// A temporary file has not been touched for stalled_after: reported once.
  void stalled(Candidate& candidate, const Stat& stat, Context& context);
  /// The file of a row is gone. `path`: where it was, "" where its row says.
  void removed(DirId dir, std::string_view name, std::string_view path, Context& context);

 private:
  bool needs_records(const Candidate& candidate, const Row* row, bool same_path, const Stat& stat,
                     Context& context) const;
  bool is_known(const Candidate& candidate, Row& row, const Stat& stat, Context& context) const;
  Look no_arrival(Candidate& candidate, const Stat& stat, std::string_view path, Context& context);
  Look finish(Candidate& candidate, Context& context);
  bool was_there(const Candidate& candidate, const Row* row) const;
  void announce(const Candidate& candidate, const Stat& stat, std::string_view path, bool moved,
                Context& context);
  std::uint32_t remember(const Candidate& candidate, const Stat& stat, std::string_view path,
                         Row::State state, Context& context);

  const CompletionOptions& options_;
  FileTable& table_;
  bool temporaries_seen_ = false;
};

}  // namespace inotifier
