// What `start: "state"` asks for: one file.completed in the log, for one consumer alone, for every
// announced file of the file table. In slices, and it goes on after a restart: how far it came is
// kept with the consumer. Owned by the fetch service; pipeline thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "inotifier/time.hpp"
#include "journal/consumers.hpp"
#include "journal/journal.hpp"

namespace inotifier {

class Snapshot {
 public:
  explicit Snapshot(Journal& journal);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  /// What a consumer's `snapshot` is at the beginning.
  static std::string beginning();
  /// Puts some more files into the log, at most `most`; `consumer` must be written already, and
  /// nothing of it may wait to be. False: there is no room, nothing was changed. At the end
  /// kept.snapshot is nothing.
  bool slice(StoredConsumer& consumer, Nanos wall, std::size_t most);

 private:
  struct Statements;
  struct Progress;
  struct Source;
  bool advance(StoredConsumer& consumer, Nanos wall, int most, Progress& progress);
  int append_files(const StoredConsumer& consumer, const Source& source, Nanos wall, int most,
                   Progress& progress);
  bool directory_path(std::int64_t watch, std::uint32_t directory, std::string& path);

  Journal& journal_;
  std::unique_ptr<Statements> statements_;
};

}  // namespace inotifier
