// Looks at files that a watch's processor has asked for: their answers in this turn, and the looks
// that the disk has not answered yet. Owned by a Watcher; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/fs.hpp"
#include "source/event_source.hpp"
#include "source/tree.hpp"

namespace inotifier {

class FileProbes {
 public:
  FileProbes(Tree& tree, Fs& fs) : tree_(tree), fs_(fs) {}

  /// Looks at those that no look is open for. Earlier answers that nobody took are dropped.
  void start(std::span<const FileName> files);

  /// The answer of one of these files, once; kPending: it is still to come. Nothing: nobody has
  /// asked.
  std::optional<Probe> take(DirId dir, std::string_view name);
  /// A record tells of a change: what an open look shows may be older.
  void on_record(DirId dir, std::string_view name);
  /// Records may have been missed: the same for all.
  void on_doubt();

  /// Those whose answers have come since the last call; to be taken in this turn.
  std::vector<std::pair<DirId, std::string>> answered();
  void end_turn();
  void list_unanswered(std::vector<EventSource::Unanswered>& out) const;

 private:
  struct Look {
    std::shared_ptr<Probes> probes;
    std::size_t number = 0;  ///< in probes
    DirRef dir;
    bool outdated = false;
    bool has_come = false;  ///< answered() has said so

    const Probe* answer() const { return probes->answer(number); }
  };
  using Key = std::pair<DirId, std::string>;

  Tree& tree_;
  Fs& fs_;
  std::vector<std::pair<Key, Look>> fresh_;  ///< answered at once, in the order of start()
  std::size_t next_ = 0;                     ///< in fresh_: most are taken in order
  std::map<Key, Look> open_;
};

}  // namespace inotifier
