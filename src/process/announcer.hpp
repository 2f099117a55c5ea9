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
  /// A temporary file has not been touched for stalled_after: reported once.
  void stalled(Candidate& candidate, const Stat& stat, Context& context);
  /// The file of a row is gone. `path`: where it was, "" where its row says.
  void removed(DirId dir, std::string_view name, std::string_view path, Context& context);

 private:
  void announce(const Candidate& candidate, const Stat& stat, std::string_view path, bool moved,
                Context& context);
  void remember(const Candidate& candidate, const Stat& stat, std::string_view path,
                Row::State state, std::uint32_t revision, std::uint32_t turn);

  const CompletionOptions& options_;
  FileTable& table_;
};

/// Whether the times of an announced file differ because somebody set them (cp -p, install, unzip,
/// rsync, touch), and not because it was written again. A write stamps mtime with the present time
/// and leaves atime alone.
bool times_were_set(const Row& row, const Stat& stat);

}  // namespace inotifier
