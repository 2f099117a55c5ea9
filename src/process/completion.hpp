// The heart: decides when a file is finished and says so once. One class for `completed` and
// `create-via-chunks`, which differ in what counts as an arrival.
//
// A file is complete when it has its final name, nobody has it open for writing, and (where asked
// for) it was quiet for a while. Nothing is believed from events alone: an event only makes a
// candidate, a look at the file decides, and the file table says whether that version was told.
//
// Owned by the pipeline, one per watch; pipeline thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inotifier/processor.hpp"
#include "process/filters.hpp"
#include "process/in_progress.hpp"
#include "state/file_table.hpp"

namespace inotifier {

class Completion final : public Processor {
 public:
  struct Options {
    /// create-via-chunks: only what lived under a temporary name arrives.
    bool only_via_temporary = false;
    bool writer_check = true;
    bool announce_renamed = true;  ///< false: a rename of an announced file is a file.moved
    bool ignore_existing = false;
    Nanos settle = 0;
    Nanos stalled_after = 0;  ///< 0 = never
    std::int64_t min_size = 0;
    Nanos born = 0;  ///< wall clock: when the watch was first made
  };

  Completion(Options options, const Filters& filters, FileTable& table)
      : options_(options), filters_(filters), table_(table), born_(options.born) {}

  std::uint32_t mask() const override;
  void on(const RawEvent& event, const Now& now, Files& files, Out& out) override;
  void on_time(const Now& now, Files& files, Out& out) override;
  std::optional<Nanos> deadline() const override {
    return leaving_.empty() ? in_progress_.deadline() : now_.mono;
  }
  std::size_t undecided() const override { return in_progress_.undecided() + leaving_.size(); }
  std::size_t in_progress() const override { return in_progress_.size(); }

 private:
  enum class Look { kDone, kWait };

  void on_record(const RawEvent& event);
  void on_found(const RawEvent& event);
  void on_moved(const RawEvent& event);
  void on_gone(DirId dir, std::string_view name);
  void on_listed(const RawEvent& event);
  void on_directory_gone(const RawEvent& event);
  void on_scanned(const RawEvent& event);
  bool is_gone(DirId dir, std::string_view name);
  bool was_moved_here(const RawEvent& event);
  void on_attributes(const RawEvent& event);
  void on_temporary(const RawEvent& event);

  void consider(Candidate candidate);
  Look look(Candidate& candidate);
  Look look_at_temporary(Candidate& candidate);
  void tell_stalled(Candidate& candidate, const Stat& stat);
  Look wait_for_quiet(Candidate& candidate, const Stat& stat, Nanos quiet);
  Look wait_again(Candidate& candidate);
  Look decide(Candidate& candidate, const Stat& stat);
  void announce(const Candidate& candidate, const Stat& stat, const Row* row, bool moved);
  void remember(const Candidate& candidate, const Stat& stat, Row::State state,
                std::uint32_t revision);
  bool forget_row(DirId dir, std::string_view name, std::string_view path);

  Options options_;
  const Filters& filters_;
  FileTable& table_;
  mutable InProgress in_progress_;
  // Of a scan in progress: rows that it has not shown yet, and all rows by inode (made when the
  // first unknown file is met). What moved while nobody looked is known again by them.
  std::vector<std::pair<DirId, std::string>> unseen_;
  /// What the last scan did not see, to be looked for; some of it a turn.
  std::deque<std::pair<DirId, std::string>> leaving_;
  Origin leaving_origin_ = Origin::kStartup;
  std::optional<RowsByInode> by_inode_;
  std::string path_;  ///< of the file that is being looked at
  Nanos born_;        ///< wall clock

  // Of the call in progress.
  Now now_;
  Files* files_ = nullptr;
  Out* out_ = nullptr;
  Origin origin_ = Origin::kLive;
};

}  // namespace inotifier
