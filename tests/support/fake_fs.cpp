#include "support/fake_fs.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace inotifier::testing {

/// Goes from name to name, so that it sees neither what came behind it nor what left before it.
class FakeFs::FakeListing final : public Listing {
 public:
  FakeListing(FakeFs& fs, DentryPtr directory) : fs_(fs), directory_(std::move(directory)) {
    fs_.notify_both(*directory_, IN_OPEN);
  }
  ~FakeListing() override { fs_.notify_both(*directory_, IN_CLOSE_NOWRITE); }

  int next(Entry& entry) override {
    const FakeInode& inode = *directory_->inode;
    if (inode.links == 0) return -ENOENT;
    const auto at = inode.children.upper_bound(last_);
    if (at == inode.children.end()) {
      fs_.notify_both(*directory_, IN_ACCESS);
      return 0;
    }
    last_ = at->first;
    entry.name = last_;
    switch (at->second->inode->kind) {
      case FakeInode::Kind::kFile:
        entry.kind = Entry::Kind::kFile;
        break;
      case FakeInode::Kind::kDirectory:
        entry.kind = Entry::Kind::kDirectory;
        break;
      case FakeInode::Kind::kSymlink:
      case FakeInode::Kind::kFifo:
        entry.kind = Entry::Kind::kOther;
        break;
    }
    return 1;
  }

 private:
  FakeFs& fs_;
  DentryPtr directory_;
  std::string last_;
};

FakeInode::~FakeInode() { fs.gone(*this); }

FakeFs::FakeFs(const FakeOptions& options) : options_(options) {
  last_number_[last_dev_] = 11;  // ext4's first number of one's own is 12
  root_ = std::make_shared<FakeDentry>();
  root_->inode = make_inode(FakeInode::Kind::kDirectory, last_dev_);
  root_->inode->links = 1;
}

FakeFs::~FakeFs() {
  closing_ = true;
  clear(*root_);
  for (const DentryPtr& top : unmounted_) clear(*top);
}

/// Directory and entry hold each other.
void FakeFs::clear(FakeDentry& dentry) {
  if (dentry.mounted != nullptr) clear(*dentry.mounted);
  for (const auto& [name, child] : std::exchange(dentry.inode->children, {})) clear(*child);
}

// ------------------------------------------------------------------------------------- the tree

FakeFs::InodePtr FakeFs::make_inode(FakeInode::Kind kind, std::uint64_t dev) {
  auto inode = std::make_shared<FakeInode>(*this, kind);
  inode->dev = dev;
  auto& free = free_numbers_[dev];
  if (free.empty()) {
    inode->number = ++last_number_[dev];
  } else {
    inode->number = *free.begin();
    free.erase(free.begin());
  }
  inode->mode = kind == FakeInode::Kind::kDirectory ? 0755 : 0644;
  inode->btime = inode->atime = inode->mtime = inode->ctime = stamp_clock();
  return inode;
}

void FakeFs::gone(FakeInode& inode) {
  if (closing_) return;
  free_numbers_[inode.dev].insert(inode.number);
  for (const FakeInode::Mark& mark : std::exchange(inode.marks, {})) {
    if ((mark.mask & IN_DELETE_SELF) != 0) mark.by->queue(mark.wd, IN_DELETE_SELF, 0, "");
    mark.by->forget(mark.wd);
  }
}

FakeFs::DentryPtr FakeFs::walk(DentryPtr from, std::string_view path, bool follow, int& error) {
  std::string rest(path);
  int links = 0;
  DentryPtr at = std::move(from);
  while (true) {
    const auto begin = rest.find_first_not_of('/');
    if (begin == std::string::npos) return at;
    const auto end = std::min(rest.find('/', begin), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    rest.erase(0, end);
    if (at->inode->kind != FakeInode::Kind::kDirectory) {
      error = at->inode->kind == FakeInode::Kind::kSymlink ? -ELOOP : -ENOTDIR;
      return nullptr;
    }
    if (name == ".") continue;
    if (name.size() > 255) {
      error = -ENAMETOOLONG;
      return nullptr;
    }
    const auto found = at->inode->children.find(name);
    if (found == at->inode->children.end()) {
      error = -ENOENT;
      return nullptr;
    }
    DentryPtr next = found->second;
    while (next->mounted != nullptr) next = next->mounted;
    if (follow && next->inode->kind == FakeInode::Kind::kSymlink) {
      if (++links > 40) {
        error = -ELOOP;
        return nullptr;
      }
      rest = next->inode->target + rest;
      if (rest.starts_with('/')) at = root_;
      continue;
    }
    at = std::move(next);
  }
}

int FakeFs::locate(const std::string& path, Place& place) {
  const auto slash = path.rfind('/');
  place.name = path.substr(slash + 1);
  int error = 0;
  place.directory = walk(root_, std::string_view(path).substr(0, slash), true, error);
  if (place.directory == nullptr) return error;
  const FakeInode& inode = *place.directory->inode;
  if (inode.kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  if (place.name.size() > 255) return -ENAMETOOLONG;
  if (inode.links == 0) return -ENOENT;
  const auto found = inode.children.find(place.name);
  place.found = found == inode.children.end() ? nullptr : found->second;
  return 0;
}

FakeFs::DentryPtr FakeFs::existing(const std::string& path, int& error) {
  return walk(root_, path, false, error);
}

FakeFs::DentryPtr FakeFs::add_entry(const Place& place, const InodePtr& inode) {
  auto dentry = std::make_shared<FakeDentry>();
  dentry->parent = place.directory;
  dentry->name = place.name;
  dentry->inode = inode;
  ++inode->links;
  place.directory->inode->children[place.name] = dentry;
  stamp_data(*place.directory->inode);
  return dentry;
}

void FakeFs::remove_entry(FakeInode& directory, const std::string& name) {
  const auto found = directory.children.find(name);
  FakeInode& inode = *found->second->inode;
  --inode.links;
  inode.ctime = stamp(inode);
  stamp_data(directory);
  directory.children.erase(found);
}

Nanos FakeFs::stamp(FakeInode& inode) const {
  Nanos time = now_.wall - now_.wall % options_.tick;
  if (options_.traits.fine_times && std::exchange(inode.looked_at, false) && time <= inode.ctime) {
    time = std::max(now_.wall, inode.ctime + 1);
  }
  return std::max(time, inode.ctime);
}

void FakeFs::stamp_data(FakeInode& inode) const { inode.mtime = inode.ctime = stamp(inode); }

bool FakeFs::has_writer(FakeInode& inode) const {
  std::erase_if(inode.writers,
                [&](const FakeInode::Access& access) { return access.until <= now_.mono; });
  return std::ranges::any_of(
      inode.writers, [&](const FakeInode::Access& access) { return access.from <= now_.mono; });
}

// ------------------------------------------------------------------------------------- inotify

void FakeFs::notify(FakeInode& inode, std::uint32_t mask, std::uint32_t cookie,
                    const std::string& name) {
  for (const FakeInode::Mark& mark : std::vector(inode.marks)) {
    if ((mark.mask & mask & IN_ALL_EVENTS) != 0) mark.by->queue(mark.wd, mask, cookie, name);
  }
}

/// What happens to an inode is told to the directory of the name it was opened by, and to itself.
void FakeFs::notify_both(const FakeDentry& dentry, std::uint32_t mask) {
  if (dentry.inode->kind == FakeInode::Kind::kDirectory) mask |= IN_ISDIR;
  if (dentry.parent != nullptr) {
    FakeInode& parent = *dentry.parent->inode;
    const auto found = parent.children.find(dentry.name);
    const bool is_linked =
        found != parent.children.end() &&
        (found->second.get() == &dentry || found->second->mounted.get() == &dentry);
    for (const FakeInode::Mark& mark : std::vector(parent.marks)) {
      if ((mark.mask & mask & IN_ALL_EVENTS) == 0) continue;
      if (!is_linked && (mark.mask & IN_EXCL_UNLINK) != 0) continue;
      mark.by->queue(mark.wd, mask, 0, dentry.name);
    }
  }
  notify(*dentry.inode, mask, 0, "");
}

// ------------------------------------------------------------------------------------- Fs

int FakeFs::open_root(const std::string& path) {
  int error = 0;
  DentryPtr dentry = walk(root_, path, true, error);
  if (dentry == nullptr) return error;
  if (dentry->inode->kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  handles_[++last_handle_] = std::move(dentry);
  return last_handle_;
}

int FakeFs::open_directory(int handle, const std::string& relative) {
  const auto from = handles_.find(handle);
  if (from == handles_.end()) return -EBADF;
  int error = 0;
  DentryPtr dentry = walk(from->second, relative, false, error);
  if (dentry == nullptr) return error;
  if (dentry->inode->kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  handles_[++last_handle_] = std::move(dentry);
  return last_handle_;
}

void FakeFs::close(int handle) { handles_.erase(handle); }

FakeFs::InodePtr FakeFs::inode_of(int handle) const {
  const auto found = handles_.find(handle);
  return found == handles_.end() ? nullptr : found->second->inode;
}

void FakeFs::fill(const FakeInode& inode, Stat& out) const {
  out = {};
  out.inode = inode.number;
  out.dev = inode.dev;
  out.size = inode.size;
  out.mtime = inode.mtime;
  out.atime = inode.atime;
  out.ctime = inode.ctime;
  out.btime = inode.btime;
  out.uid = inode.uid;
  out.mode = inode.mode;
  switch (inode.kind) {
    case FakeInode::Kind::kFile:
      out.mode |= S_IFREG;
      break;
    case FakeInode::Kind::kDirectory:
      out.mode |= S_IFDIR;
      break;
    case FakeInode::Kind::kSymlink:
      out.mode |= S_IFLNK;
      break;
    case FakeInode::Kind::kFifo:
      out.mode |= S_IFIFO;
      break;
  }
}

int FakeFs::stat(int handle, const std::string& relative, Stat& out) {
  const auto from = handles_.find(handle);
  if (from == handles_.end()) return -EBADF;
  int error = 0;
  const DentryPtr dentry = walk(from->second, relative, false, error);
  if (dentry == nullptr) return error;
  fill(*dentry->inode, out);
  dentry->inode->looked_at = true;
  out.mount_root = std::ranges::any_of(
      mounts_, [&](const auto& mount) { return mount.second->inode == dentry->inode; });
  return 0;
}

std::unique_ptr<Listing> FakeFs::list(int handle, int& error) {
  error = 0;
  const auto found = handles_.find(handle);
  if (found == handles_.end()) {
    error = -EBADF;
  } else if (found->second->inode->unreadable) {
    error = -EACCES;
  } else {
    return std::make_unique<FakeListing>(*this, found->second);
  }
  return nullptr;
}

Files::Writer FakeFs::writer(int handle, const std::string& relative, Stat& out, int& error) {
  error = 0;
  const auto from = handles_.find(handle);
  int walk_error = from == handles_.end() ? -EBADF : 0;
  const DentryPtr dentry =
      walk_error == 0 ? walk(from->second, relative, false, walk_error) : nullptr;
  // O_NOFOLLOW and RESOLVE_NO_SYMLINKS fail alike, see openat2(2).
  if (walk_error == -ELOOP) return Files::Writer::kNotRegular;
  if (dentry == nullptr) return Files::Writer::kGone;
  FakeInode& inode = *dentry->inode;
  fill(inode, out);
  inode.looked_at = true;
  if (inode.kind != FakeInode::Kind::kFile) return Files::Writer::kNotRegular;
  if (options_.changing_probes > 0) {
    --options_.changing_probes;
    return Files::Writer::kChanged;
  }
  if (inode.unreadable) {
    error = EACCES;
    return Files::Writer::kUnknown;
  }
  notify_both(*dentry, IN_OPEN);
  notify_both(*dentry, IN_CLOSE_NOWRITE);
  if (!options_.traits.leases) {
    error = EINVAL;
    return Files::Writer::kUnknown;
  }
  return has_writer(inode) ? Files::Writer::kOpen : Files::Writer::kNone;
}

FsTraits FakeFs::traits(int /*handle*/) { return options_.traits; }

std::optional<std::string> FakeFs::mounts_below(const std::string& path) {
  std::string lines;
  for (const auto& [point, dentry] : mounts_) {
    if (point != path && !point.starts_with(path + '/')) continue;
    lines += std::to_string(dentry->inode->dev) + ' ';
    if (point != path) lines += point.substr(path.size() + 1);
    lines += '\n';
  }
  return lines;
}

std::uint64_t FakeFs::inode_number(const std::string& path) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  return dentry == nullptr ? 0 : dentry->inode->number;
}

int FakeFs::mount(const std::string& path) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  if (dentry->inode->kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  last_number_[++last_dev_] = 1;
  auto top = std::make_shared<FakeDentry>();
  top->inode = make_inode(FakeInode::Kind::kDirectory, last_dev_);
  top->inode->links = 1;
  top->name = dentry->name;
  top->parent = dentry->parent;
  dentry->mounted = top;
  mounts_[path] = top;
  return 0;
}

int FakeFs::unmount(const std::string& path) {
  const auto found = mounts_.find(path);
  if (found == mounts_.end()) return -EINVAL;
  const DentryPtr top = found->second;
  mounts_.erase(found);
  unmounted_.push_back(top);
  int error = 0;
  const auto slash = path.rfind('/');
  const DentryPtr above = walk(root_, std::string_view(path).substr(0, slash), true, error);
  if (above == nullptr) return error;
  above->inode->children.at(path.substr(slash + 1))->mounted = nullptr;
  // umount -l: nobody is told as long as somebody has something of it open.
  const std::uint64_t dev = top->inode->dev;
  if (std::ranges::any_of(handles_,
                          [&](const auto& open) { return open.second->inode->dev == dev; })) {
    return 0;
  }
  std::vector<InodePtr> todo{top->inode};
  while (!todo.empty()) {
    const InodePtr inode = todo.back();
    todo.pop_back();
    for (const FakeInode::Mark& mark : std::exchange(inode->marks, {})) {
      mark.by->queue(mark.wd, IN_UNMOUNT, 0, "");
      mark.by->forget(mark.wd);
    }
    for (const auto& [name, child] : inode->children) todo.push_back(child->inode);
  }
  return 0;
}

int FakeFs::set_unreadable(const std::string& path, bool unreadable) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  if (dentry == nullptr) return error;
  dentry->inode->unreadable = unreadable;
  dentry->inode->ctime = stamp(*dentry->inode);
  notify_both(*dentry, IN_ATTRIB);
  return 0;
}

}  // namespace inotifier::testing
