// The heart: decides when a file is finished and announces it once. One class for `completed` and
// `create-via-chunks`, which differ in what counts as an arrival.
//
// A file is complete when it has its final name, nobody has it open for writing, and (where asked
// for) it was quiet for a while. Nothing is believed from events alone: an event only makes a
// candidate, a look at the file decides (Inspector), and the file table says whether that version
// is news (Announcer).
//
// Owned by the pipeline, one per watch; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "inotifier/processor.hpp"
#include "process/absences.hpp"
#include "process/announcer.hpp"
#include "process/completion_options.hpp"
#include "process/filters.hpp"
#include "process/in_progress.hpp"
#include "process/inspector.hpp"
#include "state/file_table.hpp"

namespace inotifier {

class Completion final : public Processor {
 public:
  /// `filters` and `table` live as long as the processor.
  Completion(const CompletionOptions& options, const Filters& filters, FileTable& table)
      : options_(options),
        filters_(filters),
        table_(table),
        inspector_(options_, filters),
        announcer_(options_, table),
        absences_(table) {}
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  std::uint32_t mask() const override;
  void on(const RawEvent& event, const Now& now, Files& files, Out& out) override;
  void on_time(const Now& now, Files& files, Out& out) override;
  void set_room(std::size_t events) override { room_ = events; }
  std::optional<Nanos> deadline() const override;
  std::size_t undecided() const override { return in_progress_.undecided() + absences_.size(); }
  std::size_t in_progress() const override { return in_progress_.size(); }
  void each_waiting(const EachWaiting& each) const override;
  std::optional<Waiting> waiting(const FileName& file) const override;

 private:
  void on_record(const RawEvent& event, Context& context);
  void on_found(const RawEvent& event, Context& context);
  void on_moved(const RawEvent& event, Context& context);
  void on_answered(const RawEvent& event, const Context& context);
  void on_gone(DirId dir, std::string_view name, Context& context);
  void on_listed(const RawEvent& event, Context& context);
  void on_scanned(const RawEvent& event, Context& context);
  void on_directory_gone(const RawEvent& event, Context& context);
  void on_attributes(const RawEvent& event, Context& context);
  void on_temporary(const RawEvent& event, Context& context);
  void on_polled(Candidate candidate, const RawEvent& event, Context& context);

  bool is_known(const RawEvent& event, Context& context);
  bool was_moved_here(const RawEvent& event, Context& context);
  Candidate leave_place(const RawEvent& event, bool& existed, Context& context);
  Candidate take(DirId dir, std::string_view name, bool& existed, const Now& now);
  Waiting describe(const Candidate& candidate) const;
  bool has_room(const Candidate& candidate);
  void consider(Candidate candidate, const Context& context);
  void ask(std::vector<Candidate>& candidates, Files& files) const;
  void look_at(Candidate candidate, Context& context);

  const CompletionOptions options_;
  const Filters& filters_;
  FileTable& table_;
  Inspector inspector_;
  Announcer announcer_;
  Absences absences_;
  Nanos absences_due_ = 0;            ///< monotonic
  std::uint32_t doubts_scanned_ = 0;  ///< Files::doubts() at the end of the last scan
  std::size_t room_ = SIZE_MAX;       ///< of set_room()
  bool hides_temporaries_ = false;    ///< there was a directory with a temporary name
  mutable InProgress in_progress_;
  std::string path_;  ///< of the file that is being looked at; kept for its capacity
};

}  // namespace inotifier
