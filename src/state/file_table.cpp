#include "state/file_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace inotifier {
namespace {

// A worker that deletes what it has processed leaves one of these per file. The journal will keep
// them as long as it keeps the events; memory keeps the last so many.
constexpr std::size_t kTombstonesKept = 50'000;

}  // namespace

RowsByInode::RowsByInode(const FileTable& table) : table_(table) {
  slots_.reserve(table.size());
  for (std::uint32_t number = 0; number < table.used_; ++number) {
    const auto& at = table.slot(number);
    if (at.dir != kNoDir) slots_.emplace_back(at.row.inode, number);
  }
  std::sort(slots_.begin(), slots_.end());
}

void RowsByInode::find(std::uint64_t inode,
                       const std::function<bool(DirId, std::string_view, const Row&)>& each) const {
  const auto begin =
      std::lower_bound(slots_.begin(), slots_.end(), std::pair(inode, std::uint32_t{0}));
  for (auto entry = begin; entry != slots_.end() && entry->first == inode; ++entry) {
    const auto& at = table_.slot(entry->second);
    if (at.dir == kNoDir || at.row.inode != inode) continue;
    if (!each(at.dir, table_.name_of(at), at.row)) return;
  }
}

FileTable::FileTable() = default;

std::uint32_t FileTable::find_slot(DirId dir, std::string_view name) const {
  return index_.find(NameIndex::hash(dir, name), [&](std::uint32_t number) {
    const Slot& at = slot(number);
    return at.dir == dir && name_of(at) == name;
  });
}

Row* FileTable::find(DirId dir, std::string_view name) {
  const std::uint32_t number = find_slot(dir, name);
  return number == NameIndex::kNone ? nullptr : &slot(number).row;
}

Row& FileTable::put(DirId dir, std::string_view name, const Row& row) {
  std::uint32_t number = find_slot(dir, name);
  if (number != NameIndex::kNone) {
    slot(number).row = row;
    note_change(number);
    return slot(number).row;
  }
  number = new_slot();
  Slot& made = slot(number);
  made.row = row;
  made.dir = dir;
  store_name(made, name);
  if (dir >= heads_.size()) heads_.resize(dir + 1, NameIndex::kNone);
  made.previous = NameIndex::kNone;
  made.next = heads_[dir];
  if (made.next != NameIndex::kNone) slot(made.next).previous = number;
  heads_[dir] = number;
  index_.insert(NameIndex::hash(dir, name), number, [this](std::uint32_t other) {
    return NameIndex::hash(slot(other).dir, name_of(slot(other)));
  });
  ++size_;
  note_change(number);
  return made.row;
}

std::uint32_t FileTable::new_slot() {
  if (!free_.empty()) {
    const std::uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  if (used_ == slots_size_) {
    const std::uint32_t size = std::clamp(used_, kFirstSlots, kMostSlots);
    chunks_.push_back(std::make_unique<Slot[]>(size));
    slots_size_ += size;
  }
  return used_++;
}

void FileTable::set_scanned() {
  if (!std::exchange(scanned_, true)) scanned_changed_ = keeps_changes_;
}

void FileTable::note_change(std::uint32_t number) {
  if (!keeps_changes_ || std::exchange(slot(number).changed, true)) return;
  changed_.push_back(number);
}

void FileTable::changed(DirId dir, std::string_view name) {
  const std::uint32_t number = find_slot(dir, name);
  if (number != NameIndex::kNone) note_change(number);
}

void FileTable::each_gone(const std::function<void(DirId, std::string_view)>& each) const {
  for (const auto& [dir, name] : gone_) each(dir, name);
}

void FileTable::each_change(
    const std::function<void(DirId, std::string_view, const Row&)>& each) const {
  for (const std::uint32_t number : changed_) {
    const Slot& at = slot(number);
    // Gone again, or a slot that was given to another row (which is in the list itself, too).
    if (at.changed && at.dir != kNoDir) each(at.dir, name_of(at), at.row);
  }
}

void FileTable::each_tombstone_change(
    const std::function<void(std::uint64_t, const Tombstone*)>& each) const {
  for (const std::uint64_t path_hash : tombstone_changes_) each(path_hash, tombstone(path_hash));
}

void FileTable::forget_changes() {
  for (const std::uint32_t number : changed_) slot(number).changed = false;
  changed_.clear();
  gone_.clear();
  tombstone_changes_.clear();
  scanned_changed_ = false;
}

void FileTable::each_row(
    const std::function<void(DirId, std::string_view, const Row&)>& each) const {
  for (std::uint32_t number = 0; number < used_; ++number) {
    const Slot& at = slot(number);
    if (at.dir != kNoDir) each(at.dir, name_of(at), at.row);
  }
}

void FileTable::leave(DirId dir, std::string_view name) {
  const std::uint32_t number = find_slot(dir, name);
  if (number == NameIndex::kNone) return;
  Slot& gone = slot(number);
  add_tombstone(gone.row);
  if (gone.previous != NameIndex::kNone) {
    slot(gone.previous).next = gone.next;
  } else {
    heads_[dir] = gone.next;
  }
  if (gone.next != NameIndex::kNone) slot(gone.next).previous = gone.previous;
  index_.erase(NameIndex::hash(dir, name), number);
  name_bytes_ -= gone.name_length;
  if (keeps_changes_) gone_.emplace_back(dir, name);
  gone = Slot{};
  free_.push_back(number);
  --size_;
}

std::vector<std::string> FileTable::unlisted(DirId dir, std::uint32_t listing) const {
  std::vector<std::string> result;
  if (dir >= heads_.size()) return result;
  for (std::uint32_t at = heads_[dir]; at != NameIndex::kNone; at = slot(at).next) {
    if (listing == 0 || slot(at).row.listing != listing) result.emplace_back(name_of(slot(at)));
  }
  return result;
}

void FileTable::renumber(DirId from, DirId to) {
  for (const std::string& name : unlisted(from, 0)) {
    const Row row = *find(from, name);
    leave(from, name);
    put(to, name, row);
  }
}

std::size_t FileTable::count(DirId dir) const {
  std::size_t count = 0;
  if (dir >= heads_.size()) return count;
  for (std::uint32_t at = heads_[dir]; at != NameIndex::kNone; at = slot(at).next) ++count;
  return count;
}

void FileTable::add_tombstone(const Row& row) {
  if (keeps_changes_) tombstone_changes_.push_back(row.path_hash);
  restore_tombstone(row.path_hash, {row.mtime, row.revision, row.state == Row::State::kAnnounced});
}

void FileTable::restore_tombstone(std::uint64_t path_hash, const Tombstone& tombstone) {
  const auto [at, is_new] = tombstones_.try_emplace(path_hash, tombstone);
  if (!is_new) {
    // Where directories are exchanged, versions leave a path in another order than they came.
    Tombstone& known = at->second;
    known.announced = tombstone.announced;
    if (std::pair(known.revision, known.mtime) < std::pair(tombstone.revision, tombstone.mtime)) {
      known = tombstone;
    }
    return;
  }
  tombstone_order_.push_back(path_hash);
  if (tombstone_order_.size() > kTombstonesKept) {
    if (keeps_changes_) tombstone_changes_.push_back(tombstone_order_.front());
    tombstones_.erase(tombstone_order_.front());
    tombstone_order_.pop_front();
  }
}

const FileTable::Tombstone* FileTable::tombstone(std::uint64_t path_hash) const {
  const auto found = tombstones_.find(path_hash);
  return found == tombstones_.end() ? nullptr : &found->second;
}

void FileTable::append_name(Slot& slot, std::string_view name) {
  if (names_.empty() || name_end_ + name.size() > name_limit_) {
    name_limit_ = std::max(name.size(), std::clamp(names_size_, kFirstNames, kMostNames));
    names_.push_back(std::make_unique<char[]>(name_limit_));
    names_size_ += name_limit_;
    name_end_ = 0;
  }
  std::memcpy(names_.back().get() + name_end_, name.data(), name.size());
  slot.name_chunk = static_cast<std::uint16_t>(names_.size() - 1);
  slot.name_offset = static_cast<std::uint32_t>(name_end_);
  slot.name_length = static_cast<std::uint16_t>(name.size());
  name_end_ += name.size();
  name_bytes_ += name.size();
}

void FileTable::store_name(Slot& slot, std::string_view name) {
  // Names are only appended. Where most of them are of rows long gone, start afresh; that walks
  // through all slots, so the more of them, the later.
  constexpr std::size_t kBytesPerSlot = 16;
  const std::size_t spare = std::clamp(used_ * kBytesPerSlot, 2 * kFirstNames, 2 * kMostNames);
  if (name_end_ + name.size() > name_limit_ && names_size_ > 2 * name_bytes_ + spare) {
    compact_names();
  }
  append_name(slot, name);
}

void FileTable::compact_names() {
  std::vector<std::unique_ptr<char[]>> old;
  old.swap(names_);
  names_size_ = 0;
  name_bytes_ = 0;
  for (std::uint32_t number = 0; number < used_; ++number) {
    Slot& at = slot(number);
    if (at.dir == kNoDir || at.name_length == 0) continue;
    append_name(at, {old[at.name_chunk].get() + at.name_offset, at.name_length});
  }
}

}  // namespace inotifier
