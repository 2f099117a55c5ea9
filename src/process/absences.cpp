#include "process/absences.hpp"

#include <cerrno>
#include <iterator>

#include "base/error.hpp"
#include "process/inspector.hpp"

namespace inotifier {

bool is_gone(DirId dir, std::string_view name, Context& context) {
  Stat stat;
  const int error = context.files.stat(dir, name, stat);
  if (error == 0) return !is_regular(stat);
  if (error != EAGAIN) return is_absence(error);
  // The directory is not where it was; nothing there, nothing in it.
  std::string path;
  return context.files.path(dir, name, path) && is_absence(context.files.stat_path(path, stat));
}

void Absences::end_scan(Origin origin, bool rebuilt) {
  by_inode_.reset();
  auto unseen = std::exchange(unseen_, {});
  if (!rebuilt) return;
  origin_ = origin;
  missing_.insert(missing_.end(), std::make_move_iterator(unseen.begin()),
                  std::make_move_iterator(unseen.end()));
}

std::optional<FormerPlace> Absences::former_place(const Stat& stat, Context& context) {
  if (!by_inode_) by_inode_.emplace(table_);
  FormerPlace former;
  by_inode_->find(stat.inode, [&](DirId dir, std::string_view name, const Row& row) {
    if (row.state == Row::State::kStalled || !row.same_version(stat, true) ||
        !is_gone(dir, name, context)) {
      return true;
    }
    former.dir = dir;
    former.name = name;
    return false;
  });
  if (former.dir == kNoDir || !context.files.path(former.dir, former.name, former.path)) {
    return std::nullopt;
  }
  return former;
}

}  // namespace inotifier
