// FakeFs as its writers see it. The order of the records is that of Linux 6.18, see
// tests/unit/support/fake_fs_test.cpp, which compares the two.
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "support/fake_fs.hpp"

namespace inotifier::testing {
namespace {

constexpr Nanos kForEver = INT64_MAX;
constexpr Nanos kDay = 86'400'000'000'000;

}  // namespace

int FakeFs::create(const std::string& path, FakeInode::Kind kind, const std::string& target) {
  Place place;
  if (const int error = locate(path, place); error != 0) return error;
  if (place.found != nullptr) return -EEXIST;
  const InodePtr inode = make_inode(kind, place.directory->inode->volume);
  inode->target = target;
  changed(*inode);
  add_entry(place, inode);
  const std::uint32_t is_dir = kind == FakeInode::Kind::kDirectory ? IN_ISDIR : 0;
  notify(*place.directory->inode, IN_CREATE | is_dir, 0, place.name);
  return 0;
}

int FakeFs::make_directory(const std::string& path) {
  return create(path, FakeInode::Kind::kDirectory, "");
}

int FakeFs::make_symlink(const std::string& target, const std::string& path) {
  return create(path, FakeInode::Kind::kSymlink, target);
}

int FakeFs::make_fifo(const std::string& path) { return create(path, FakeInode::Kind::kFifo, ""); }

int FakeFs::make_node(const std::string& path) { return create(path, FakeInode::Kind::kFile, ""); }

int FakeFs::remove_directory(const std::string& path) {
  Place place;
  if (const int error = locate(path, place); error != 0) return error;
  if (place.found == nullptr) return -ENOENT;
  if (place.found->inode->kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  if (is_mount_point(*place.found)) return -EBUSY;
  if (!place.found->inode->children.empty()) return -ENOTEMPTY;
  place.found = nullptr;
  // Its own IN_DELETE_SELF comes first, unless somebody has it open.
  remove_entry(*place.directory->inode, place.name);
  notify(*place.directory->inode, IN_DELETE | IN_ISDIR, 0, place.name);
  return 0;
}

int FakeFs::open_file(const std::string& path, const OpenMode& mode) {
  File file;
  file.writing = mode.write;
  file.appending = mode.append;
  file.references = 1;
  const int handle = static_cast<int>(files_.size());
  Nanos from = now_.mono;
  bool created = false;
  if (mode.tmpfile) {
    created = true;
    int error = 0;
    const Where at = walk({root_}, path, false, error);
    if (!at) return error;
    const DentryPtr& directory = at.dentry;
    file.mount = at.mount;
    file.dentry = std::make_shared<FakeDentry>();
    file.dentry->inode = make_inode(FakeInode::Kind::kFile, directory->inode->volume);
    file.dentry->parent = directory;
    file.dentry->name = '#' + std::to_string(file.dentry->inode->number);
  } else {
    Place place;
    if (const int error = locate(path, place); error != 0) return error;
    file.mount = place.mount;
    if (place.found == nullptr) {
      if (!mode.create) return -ENOENT;
      file.dentry =
          add_entry(place, make_inode(FakeInode::Kind::kFile, place.directory->inode->volume));
      notify(*place.directory->inode, IN_CREATE, 0, place.name);
      from += options_.create_window;
      created = true;
    } else {
      if (mode.exclusive) return -EEXIST;
      file.dentry = place.found;
      if (file.dentry->inode->kind == FakeInode::Kind::kDirectory && mode.write) return -EISDIR;
    }
  }
  FakeInode& inode = *file.dentry->inode;
  if (mode.write) inode.writers.push_back({handle, from, kForEver});
  if (created) {
    creating_ = file.dentry->inode;
    changed(inode);
  }
  notify_both(*file.dentry, IN_OPEN);
  if (mode.truncate && !created) {
    inode.size = 0;
    changed(inode);
    stamp_data(inode);
    notify_both(*file.dentry, IN_MODIFY);
  }
  files_.push_back(std::move(file));
  return handle;
}

FakeFs::File* FakeFs::file_of(int handle) {
  const auto at = static_cast<std::size_t>(handle);
  if (handle < 0 || at >= files_.size() || files_[at].references == 0) return nullptr;
  return &files_[at];
}

int FakeFs::put(int handle, std::int64_t bytes) {
  File* file = file_of(handle);
  if (file == nullptr || !file->writing) return -EBADF;
  FakeInode& inode = *file->dentry->inode;
  // Who writes has got its access.
  for (FakeInode::Access& access : inode.writers) {
    if (access.file == handle) access.from = std::min(access.from, now_.mono);
  }
  if (file->appending) file->offset = inode.size;
  file->offset += bytes;
  inode.size = std::max(inode.size, file->offset);
  changed(inode);
  stamp_data(inode);
  notify_both(*file->dentry, IN_MODIFY);
  return 0;
}

int FakeFs::resize(int handle, std::int64_t size) {
  File* file = file_of(handle);
  if (file == nullptr || !file->writing) return -EBADF;
  file->dentry->inode->size = size;
  changed(*file->dentry->inode);
  stamp_data(*file->dentry->inode);
  notify_both(*file->dentry, IN_MODIFY);
  return 0;
}

int FakeFs::touch(int handle) {
  File* file = file_of(handle);
  if (file == nullptr) return -EBADF;
  FakeInode& inode = *file->dentry->inode;
  stamp_data(inode);
  inode.atime = inode.mtime;  // utimensat(2) with no times sets all three to the same moment
  notify_both(*file->dentry, IN_ATTRIB);
  return 0;
}

void FakeFs::drop(int handle, File& file) {
  if (--file.references > 0) return;
  notify_both(*file.dentry, file.writing ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
  const InodePtr inode = file.dentry->inode;
  for (FakeInode::Access& access : inode->writers) {
    if (access.file == handle) access.until = now_.mono + options_.close_window;
  }
  if (std::ranges::none_of(inode->writers, &FakeInode::Access::is_held)) {
    inode->quiet.insert(inode->content);
  }
  file.dentry.reset();
  release(inode->volume);
}

/// relatime: the first read after a change, and one a day.
int FakeFs::read(int handle) {
  File* file = file_of(handle);
  if (file == nullptr) return -EBADF;
  FakeInode& inode = *file->dentry->inode;
  if (inode.size == 0) return 0;
  const Nanos time = now_.wall - now_.wall % options_.granularity;
  if (inode.atime <= std::max(inode.mtime, inode.ctime) || time - inode.atime >= kDay) {
    inode.atime = time;
  }
  notify_both(*file->dentry, IN_ACCESS);
  return 1;
}

int FakeFs::close_file(int handle) {
  File* file = file_of(handle);
  if (file == nullptr) return -EBADF;
  drop(handle, *file);
  return 0;
}

int FakeFs::map(int handle) {
  File* file = file_of(handle);
  if (file == nullptr || !file->writing || file->mapped) return -EBADF;
  file->mapped = true;
  ++file->references;
  changed(*file->dentry->inode);
  stamp_data(*file->dentry->inode);
  return 0;
}

int FakeFs::unmap(int handle) {
  File* file = file_of(handle);
  if (file == nullptr || !std::exchange(file->mapped, false)) return -EBADF;
  drop(handle, *file);
  return 0;
}

int FakeFs::rename(const std::string& from, const std::string& to, bool exchange) {
  Place source;
  Place target;
  if (const int error = locate(from, source); error != 0) return error;
  if (const int error = locate(to, target); error != 0) return error;
  if (source.found == nullptr) return -ENOENT;
  FakeInode& old_directory = *source.directory->inode;
  FakeInode& new_directory = *target.directory->inode;
  if (source.mount != target.mount) return -EXDEV;
  const DentryPtr moved = source.found;
  const InodePtr inode = moved->inode;
  const bool is_directory = inode->kind == FakeInode::Kind::kDirectory;
  const std::uint32_t is_dir = is_directory ? IN_ISDIR : 0;
  const DentryPtr replaced = std::exchange(target.found, nullptr);
  source.found = nullptr;
  if (is_mount_point(*moved) || (replaced != nullptr && is_mount_point(*replaced))) {
    return -EBUSY;
  }
  // Neither into itself nor in exchange with what it lies in.
  for (DentryPtr at = target.directory; at != nullptr; at = at->parent) {
    if (at->inode == inode) return -EINVAL;
  }
  for (DentryPtr at = source.directory; replaced != nullptr && at != nullptr; at = at->parent) {
    if (at->inode == replaced->inode) return exchange ? -EINVAL : -ENOTEMPTY;
  }

  if (exchange) {
    if (replaced == nullptr) return -ENOENT;
    const std::uint32_t other_is_dir =
        replaced->inode->kind == FakeInode::Kind::kDirectory ? IN_ISDIR : 0;
    old_directory.children[source.name] = replaced;
    new_directory.children[target.name] = moved;
    std::swap(moved->parent, replaced->parent);
    std::swap(moved->name, replaced->name);
    for (FakeInode* changed : {inode.get(), replaced->inode.get()})
      changed->ctime = stamp(*changed);
    stamp_data(old_directory);
    stamp_data(new_directory);
    ++last_cookie_;
    notify(old_directory, IN_MOVED_FROM | is_dir, last_cookie_, source.name);
    notify(new_directory, IN_MOVED_TO | is_dir, last_cookie_, target.name);
    notify(*inode, IN_MOVE_SELF, 0, "");
    ++last_cookie_;
    notify(new_directory, IN_MOVED_FROM | other_is_dir, last_cookie_, target.name);
    notify(old_directory, IN_MOVED_TO | other_is_dir, last_cookie_, source.name);
    notify(*replaced->inode, IN_MOVE_SELF, 0, "");
    return 0;
  }

  if (replaced != nullptr) {
    const bool onto_directory = replaced->inode->kind == FakeInode::Kind::kDirectory;
    if (replaced->inode == inode) return 0;  // two names of one file: rename(2) does nothing
    if (is_directory && !onto_directory) return -ENOTDIR;
    if (!is_directory && onto_directory) return -EISDIR;
    if (onto_directory && !replaced->inode->children.empty()) return -ENOTEMPTY;
    remove_entry(new_directory, target.name);
  }
  moved->came_from = from;
  moved->came_as = inode->content;
  old_directory.children.erase(source.name);
  new_directory.children[target.name] = moved;
  moved->parent = target.directory;
  moved->name = target.name;
  inode->ctime = stamp(*inode);
  stamp_data(old_directory);
  stamp_data(new_directory);
  ++last_cookie_;
  notify(old_directory, IN_MOVED_FROM | is_dir, last_cookie_, source.name);
  notify(new_directory, IN_MOVED_TO | is_dir, last_cookie_, target.name);
  if (replaced != nullptr) {
    const bool onto_directory = replaced->inode->kind == FakeInode::Kind::kDirectory;
    notify(*replaced->inode, IN_ATTRIB | (onto_directory ? IN_ISDIR : 0U), 0, "");
  }
  notify(*inode, IN_MOVE_SELF, 0, "");
  return 0;
}

int FakeFs::link(const std::string& from, const std::string& to) {
  int error = 0;
  const DentryPtr source = existing(from, error);
  if (source == nullptr) return error;
  if (source->inode->kind == FakeInode::Kind::kDirectory) return -EPERM;
  Place place;
  if (error = locate(to, place); error != 0) return error;
  if (place.found != nullptr) return -EEXIST;
  if (place.directory->inode->volume != source->inode->volume) return -EXDEV;
  add_entry(place, source->inode);
  source->inode->ctime = stamp(*source->inode);
  notify(*source->inode, IN_ATTRIB, 0, "");
  notify(*place.directory->inode, IN_CREATE, 0, place.name);
  return 0;
}

int FakeFs::link_handle(int handle, const std::string& to) {
  File* file = file_of(handle);
  if (file == nullptr) return -EBADF;
  Place place;
  if (const int error = locate(to, place); error != 0) return error;
  if (place.found != nullptr) return -EEXIST;
  if (place.directory->inode->volume != file->dentry->inode->volume) return -EXDEV;
  add_entry(place, file->dentry->inode);
  file->dentry->inode->ctime = stamp(*file->dentry->inode);
  notify(*place.directory->inode, IN_CREATE, 0, place.name);
  return 0;
}

int FakeFs::unlink(const std::string& path) {
  Place place;
  if (const int error = locate(path, place); error != 0) return error;
  if (place.found == nullptr) return -ENOENT;
  if (place.found->inode->kind == FakeInode::Kind::kDirectory) return -EISDIR;
  notify(*place.found->inode, IN_ATTRIB, 0, "");
  place.found = nullptr;
  remove_entry(*place.directory->inode, place.name);
  notify(*place.directory->inode, IN_DELETE, 0, place.name);
  return 0;
}

int FakeFs::truncate(const std::string& path, std::int64_t size) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->size = size;
  changed(*dentry->inode);
  stamp_data(*dentry->inode);
  notify_both(*dentry, IN_MODIFY);
  return 0;
}

int FakeFs::set_times(const std::string& path, std::int64_t seconds) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->ctime = stamp(*dentry->inode);
  constexpr Nanos kSecond = 1'000'000'000;
  const Nanos most = INT64_MAX / kSecond;
  const Nanos time = std::clamp(seconds, -most, most) * kSecond;
  dentry->inode->mtime = dentry->inode->atime = time - time % options_.granularity;
  dentry->inode->times_set = true;
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

int FakeFs::copy_times(const std::string& from, const std::string& to) {
  int error = 0;
  const DentryPtr source = existing(from, error);
  const DentryPtr dentry = source == nullptr ? nullptr : existing(to, error);
  if (dentry == nullptr) return error;
  dentry->inode->ctime = stamp(*dentry->inode);
  dentry->inode->mtime = source->inode->mtime;
  dentry->inode->atime = source->inode->atime;
  dentry->inode->times_set = true;
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

int FakeFs::change_mode(const std::string& path, std::uint32_t mode) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->mode = mode;
  dentry->inode->ctime = stamp(*dentry->inode);
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

int FakeFs::change_owner(const std::string& path) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->ctime = stamp(*dentry->inode);
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

int FakeFs::set_attribute(const std::string& path) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->ctime = stamp(*dentry->inode);
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

}  // namespace inotifier::testing
