// Completion: what it waits for, in the words of `explain`.
#include "process/completion.hpp"

namespace inotifier {
namespace {

std::string_view word_of(Candidate::Wait wait) {
  using Wait = Candidate::Wait;
  switch (wait) {
    case Wait::kLook:
      break;
    case Wait::kWriter:
      return "written";
    case Wait::kQuiet:
      return "settling";
    case Wait::kEmpty:
      return "empty";
    case Wait::kNoAnswer:
      return "not_responding";
    case Wait::kPlace:
      return "moving";
    case Wait::kClock:
      return "clock";
    case Wait::kRecords:
      return "records";
    case Wait::kRename:
      return "renamed";
  }
  return "next_look";
}

}  // namespace

Waiting Completion::describe(const Candidate& candidate) const {
  Waiting waiting{word_of(candidate.wait), candidate.waiting_since, candidate.due};
  if (candidate.stage == Candidate::Stage::kTemporary) waiting.what = "temporary";
  if (candidate.stage == Candidate::Stage::kStalled) waiting.what = "stalled";
  if (candidate.is_find() && room_ == 0) waiting.what = "no_room";
  if (waiting.until == InProgress::kNever) waiting.until = 0;
  return waiting;
}

void Completion::each_waiting(const EachWaiting& each) const {
  in_progress_.each([&](const Candidate& one) { each(one.dir, one.name, describe(one)); });
}

std::optional<Waiting> Completion::waiting(const FileName& file) const {
  const Candidate* candidate = in_progress_.find(file.dir, file.name);
  if (candidate == nullptr) return std::nullopt;
  return describe(*candidate);
}

}  // namespace inotifier
