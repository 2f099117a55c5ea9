// An open-addressing table from (number, name) to a slot number; the slots live with the owner, who
// says how to compare. 5-11 bytes an entry: a tree of a million files must fit into little memory.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.hpp"

namespace inotifier {

class NameIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffffU;

  static std::uint64_t hash(std::uint32_t number, std::string_view name) {
    return hash64(name, number);
  }

  /// `same(slot)`: whether that slot is the one looked for.
  template <typename Same>
  std::uint32_t find(std::uint64_t hash, Same same) const {
    if (cells_.empty()) return kNone;
    for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const std::uint32_t slot = cells_[i];
      if (slot == kNone) return kNone;
      if (slot != kDeleted && same(slot)) return slot;
    }
  }

  /// `rehash(slot)`: the hash of a slot that is in the table. The key must not be in it yet.
  template <typename Rehash>
  void insert(std::uint64_t hash, std::uint32_t slot, Rehash rehash) {
    if ((used_ + 1) * 4 > cells_.size() * 3) grow(rehash);
    std::size_t i = hash & mask_;
    while (cells_[i] != kNone && cells_[i] != kDeleted) i = (i + 1) & mask_;
    if (cells_[i] == kNone) ++used_;
    cells_[i] = slot;
    ++live_;
  }

  void erase(std::uint64_t hash, std::uint32_t slot) {
    if (cells_.empty()) return;
    for (std::size_t i = hash & mask_; cells_[i] != kNone; i = (i + 1) & mask_) {
      if (cells_[i] != slot) continue;
      cells_[i] = kDeleted;
      --live_;
      return;
    }
  }

 private:
  static constexpr std::uint32_t kDeleted = 0xfffffffeU;

  template <typename Rehash>
  void grow(Rehash rehash) {
    // Many deletions: the same size does, without the tombstones.
    std::size_t size = cells_.empty() ? 16 : cells_.size();
    if ((live_ + 1) * 2 > size) size *= 2;
    std::vector<std::uint32_t> old(size, kNone);
    old.swap(cells_);
    mask_ = size - 1;
    used_ = live_;
    for (const std::uint32_t slot : old) {
      if (slot == kNone || slot == kDeleted) continue;
      std::size_t i = rehash(slot) & mask_;
      while (cells_[i] != kNone) i = (i + 1) & mask_;
      cells_[i] = slot;
    }
  }

  std::vector<std::uint32_t> cells_;
  std::size_t mask_ = 0;
  std::size_t used_ = 0;  ///< cells that are not kNone
  std::size_t live_ = 0;
};

}  // namespace inotifier
