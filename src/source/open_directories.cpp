#include "source/open_directories.hpp"

namespace inotifier {

const std::string* OpenDirectories::path(DirId dir) {
  if (dir != cached_) {
    cached_ = table_.path(dir, cached_path_) ? dir : kNoDir;
    if (cached_ == kNoDir) return nullptr;
  }
  return &cached_path_;
}

int OpenDirectories::open(DirId dir) {
  for (const auto& [lent, handle] : lent_) {
    if (lent == dir) return handle;
  }
  if (handle_ >= 0 && opened_ == dir) return handle_;
  close();
  const std::string* relative = path(dir);
  if (relative == nullptr || root_.open() < 0) return -1;
  if (dir == kRootDir) return root_.open();
  const int handle = fs_.open_directory(root_.open(), *relative);
  if (handle < 0) return -1;
  Stat stat;
  const auto& known = table_.at(dir);
  if (fs_.stat(handle, "", stat) != 0 || stat.inode != known.inode || stat.mount != known.mount) {
    fs_.close(handle);
    return -1;
  }
  handle_ = handle;
  opened_ = dir;
  return handle;
}

void OpenDirectories::close() {
  if (handle_ >= 0) fs_.close(std::exchange(handle_, -1));
}

void OpenDirectories::table_changed() {
  cached_ = kNoDir;
  close();
}

}  // namespace inotifier
