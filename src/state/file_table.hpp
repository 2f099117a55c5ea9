// What has been announced: (directory, name) -> identity, revision, state. In memory; the journal
// writes down what changes and fills it at the start. Owned by a watch of the pipeline; pipeline
// thread.
//
// The rows are what a rescan compares the disk with. They are kept small (a tree of 300,000 files
// must stay below 60 MB in all) and in chunks that are never moved.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inotifier/processor.hpp"
#include "state/name_index.hpp"

namespace inotifier {

struct Row {
  enum class State : std::uint8_t {
    kAnnounced,
    kNoArrival,  ///< complete, but of no interest: create-via-chunks, existing = "ignore"
    kStalled,    ///< under a temporary name; that it stays was told
  };
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  Nanos mtime = 0;
  Nanos birth = 0;              ///< creation time; 0 = not known
  Nanos ctime = 0;              ///< at the last look under a lease
  std::uint64_t position = 0;   ///< Files::queued() before that look; not kept
  std::uint64_t path_hash = 0;  ///< of the relative path it was announced under
  std::uint32_t revision = 0;
  std::uint32_t listing = 0;  ///< the last listing that showed it; not kept
  std::uint32_t doubts = 0;   ///< Files::doubts() when it was last seen to be this; not kept
  std::uint32_t links = 0;    ///< hard links at that look; 0 = not known; not kept
  State state = State::kAnnounced;
  /// Of whole seconds: a write right after the look may not show in its times.
  bool unsure = false;

  /// The same content at the same place on the disk; what the file system does not keep is left
  /// out.
  bool same_data(const Stat& stat, bool keeps_inodes) const {
    return size == stat.size && (!keeps_inodes || (inode == stat.inode && same_birth(stat)));
  }
  bool same_version(const Stat& stat, bool keeps_inodes) const {
    return mtime == stat.mtime && same_data(stat, keeps_inodes);
  }
  bool same_birth(const Stat& stat) const {
    return birth == 0 || stat.btime == 0 || birth == stat.btime;
  }
  /// The revision of the next version of this path: (revision, mtime) rises.
  static std::uint32_t next_revision(std::uint32_t revision, Nanos mtime, const Stat& next) {
    return revision + (next.mtime > mtime ? 0 : 1);
  }
};

class FileTable;

/// All rows of a moment, to be found by inode. 16 bytes each.
class RowsByInode {
 public:
  explicit RowsByInode(const FileTable& table);
  /// Calls each(dir, name, row) for those that still are in the table with that inode, until it
  /// returns false.
  void find(std::uint64_t inode,
            const std::function<bool(DirId, std::string_view, const Row&)>& each) const;

 private:
  const FileTable& table_;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> slots_;
};

class FileTable {
 public:
  FileTable();

  /// Valid until the next change of the table.
  Row* find(DirId dir, std::string_view name);
  /// Makes or replaces.
  Row& put(DirId dir, std::string_view name, const Row& row);
  /// The file has left; what it was is remembered for a while (see tombstone()).
  void leave(DirId dir, std::string_view name);
  /// The rows of one directory are those of another, which has none.
  void renumber(DirId from, DirId to);
  std::size_t size() const { return size_; }
  std::size_t count(DirId dir) const;
  /// What rows and names take, those that were given back included.
  std::size_t reserved_bytes() const { return slots_size_ * sizeof(Slot) + names_size_; }
  /// What find() gave was changed in a way that must be kept.
  void changed(DirId dir, std::string_view name);

  /// The first scan has gone through the tree: what it found was there before.
  bool scanned() const { return scanned_; }
  void set_scanned();
  bool scanned_has_changed() const { return scanned_changed_; }

  /// From now on what changes is remembered, for the journal.
  void keep_changes() { keeps_changes_ = true; }
  bool has_changes() const {
    return scanned_changed_ || !changed_.empty() || !gone_.empty() || !tombstone_changes_.empty();
  }
  /// Since forget_changes(): rows that are no more (those that came back are in each_change, too),
  void each_gone(const std::function<void(DirId, std::string_view)>& each) const;
  /// rows made or changed, in that order,
  void each_change(const std::function<void(DirId, std::string_view, const Row&)>& each) const;
  /// and what is remembered of paths that left; null: no more.
  struct Tombstone;
  void each_tombstone_change(
      const std::function<void(std::uint64_t, const Tombstone*)>& each) const;
  void forget_changes();

  /// Calls each(dir, name, row) for all rows.
  void each_row(const std::function<void(DirId, std::string_view, const Row&)>& each) const;

  /// Names of the rows in `dir` that listing number `listing` did not show (0: all), copied: the
  /// caller may change the table while it walks.
  std::vector<std::string> unlisted(DirId dir, std::uint32_t listing) const;

  /// What was last known of a path that has left: the next version there must differ from it.
  struct Tombstone {
    Nanos mtime = 0;
    std::uint32_t revision = 0;
    bool announced = true;
  };
  const Tombstone* tombstone(std::uint64_t path_hash) const;
  void restore_tombstone(std::uint64_t path_hash, const Tombstone& tombstone);
  /// The path that `row` was announced under is no more.
  void add_tombstone(const Row& row);

 private:
  friend class RowsByInode;
  struct Slot {
    Row row;
    DirId dir = kNoDir;
    std::uint32_t next = NameIndex::kNone;  ///< in the directory's list
    std::uint32_t previous = NameIndex::kNone;
    std::uint32_t name_offset = 0;  ///< in its chunk of names
    std::uint16_t name_chunk = 0;
    std::uint16_t name_length = 0;  ///< FUSE allows more than NAME_MAX
    bool changed = false;
  };
  // Chunks double from the first to the largest: a small watch takes little, and a large one wastes
  // little.
  static constexpr std::uint32_t kFirstSlots = 16;
  static constexpr std::uint32_t kMostSlots = 4096;
  static constexpr std::size_t kFirstNames = 512;
  static constexpr std::size_t kMostNames = 1U << 20U;

  /// The chunk of a slot, and the number of that chunk's first slot.
  static std::pair<std::uint32_t, std::uint32_t> chunk_of(std::uint32_t number) {
    constexpr std::uint32_t kDoubling = std::bit_width(kMostSlots / kFirstSlots);
    if (number >= kMostSlots) {
      return {kDoubling - 1 + number / kMostSlots, number / kMostSlots * kMostSlots};
    }
    const auto chunk = static_cast<std::uint32_t>(std::bit_width(number / kFirstSlots));
    return {chunk, chunk == 0 ? 0 : kFirstSlots << (chunk - 1)};
  }
  Slot& slot(std::uint32_t number) {
    const auto [chunk, first] = chunk_of(number);
    return chunks_[chunk][number - first];
  }
  const Slot& slot(std::uint32_t number) const {
    const auto [chunk, first] = chunk_of(number);
    return chunks_[chunk][number - first];
  }
  std::string_view name_of(const Slot& slot) const {
    return {names_[slot.name_chunk].get() + slot.name_offset, slot.name_length};
  }
  std::uint32_t find_slot(DirId dir, std::string_view name) const;
  std::uint32_t new_slot();
  void append_name(Slot& slot, std::string_view name);
  void store_name(Slot& slot, std::string_view name);
  void compact_names();
  void note_change(std::uint32_t number);

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t slots_size_ = 0;  ///< slots of all these
  std::uint32_t used_ = 0;        ///< those ever taken
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<char[]>> names_;
  std::size_t names_size_ = 0;  ///< of all these
  std::size_t name_end_ = 0;    ///< in the last one,
  std::size_t name_limit_ = 0;  ///< and its size
  std::size_t name_bytes_ = 0;  ///< of living rows
  NameIndex index_;
  std::vector<std::uint32_t> heads_;  ///< first slot of each directory
  std::unordered_map<std::uint64_t, Tombstone> tombstones_;
  std::deque<std::uint64_t> tombstone_order_;
  bool scanned_ = false;
  bool scanned_changed_ = false;
  bool keeps_changes_ = false;
  std::vector<std::uint32_t> changed_;
  std::vector<std::pair<DirId, std::string>> gone_;
  std::vector<std::uint64_t> tombstone_changes_;
};

}  // namespace inotifier
