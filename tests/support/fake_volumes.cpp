// FakeFs: volumes and what is mounted where; faults; what an auditor asks.
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <utility>

#include "support/fake_fs.hpp"

namespace inotifier::testing {

std::shared_ptr<FakeVolume> FakeFs::make_volume(const std::string& name, const std::string& type) {
  auto volume = std::make_shared<FakeVolume>();
  volume->name = name;
  volume->traits = options_.traits;
  if (!type.empty()) volume->traits.type = type;
  if (type == "nfs" || type == "fuse") volume->traits.local = volume->traits.leases = false;
  if (type == "fuse") volume->traits.keeps_inodes = false;
  volumes_.push_back(volume);
  return volume;
}

void FakeFs::give_number(FakeVolume& volume) {
  std::uint64_t dev = 1;
  while (std::ranges::any_of(volumes_, [&](const auto& other) { return other->dev == dev; })) ++dev;
  volume.dev = dev;
}

FakeFs::Where FakeFs::covered_by(Where at) const {
  for (const Mount& mount : mounts_) {
    if (mount.point.dentry == at.dentry && mount.point.mount == at.mount) {
      at = {mount.top, mount.id};
    }
  }
  return at;
}

bool FakeFs::is_mount_point(const FakeDentry& dentry) const {
  return std::ranges::any_of(
      mounts_, [&](const Mount& mount) { return mount.point.dentry.get() == &dentry; });
}

bool FakeFs::is_top(const Where& where) const {
  if (where.mount == kRootMount) return where.dentry == root_;
  return std::ranges::any_of(mounts_, [&](const Mount& mount) {
    return mount.id == where.mount && mount.top == where.dentry;
  });
}

/// Through the mount points, as the daemon would name it.
std::string FakeFs::path_of(const Where& where) const {
  const auto mount = std::ranges::find(mounts_, where.mount, &Mount::id);
  std::string path;
  const FakeDentry* at = where.dentry.get();
  for (; at->parent != nullptr; at = at->parent.get()) {
    if (mount != mounts_.end() && mount->top.get() == at) break;
    path = '/' + at->name + path;
  }
  if (mount != mounts_.end()) {
    const std::string above = path_of(mount->point);
    return above == "/" ? path : above + path;
  }
  return path.empty() ? "/" : path;
}

void FakeFs::add_mount(const Where& point, const DentryPtr& top) {
  mounts_.push_back({++last_mount_, point, top});
}

int FakeFs::mount(const std::string& path, const std::string& name, const std::string& type) {
  int error = 0;
  const Where point = walk({root_}, path, false, error);
  if (!point) return error;
  if (point.inode().kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  std::shared_ptr<FakeVolume> volume;
  for (const auto& known : volumes_) {
    if (!name.empty() && known->name == name) volume = known;
  }
  if (volume == nullptr) volume = make_volume(name, type);
  if (volume->dev == 0) give_number(*volume);
  if (volume->top == nullptr) {
    volume->top = std::make_shared<FakeDentry>();
    volume->top->inode = make_inode(FakeInode::Kind::kDirectory, volume);
    volume->top->inode->links = 1;
    volume->top->inode->btime = now_.wall;  // mkfs(8) asks the fine clock
  }
  add_mount(point, volume->top);
  return 0;
}

int FakeFs::bind(const std::string& from, const std::string& path) {
  int error = 0;
  const Where source = walk({root_}, from, false, error);
  const Where point = source ? walk({root_}, path, false, error) : Where{};
  if (!point) return error;
  if (source.inode().kind != FakeInode::Kind::kDirectory ||
      point.inode().kind != FakeInode::Kind::kDirectory) {
    return -ENOTDIR;
  }
  add_mount(point, source.dentry);
  return 0;
}

int FakeFs::unmount(const std::string& path, bool lazy) {
  int error = 0;
  const Where at = walk({root_}, path, false, error);
  if (!at) return error;
  if (at.mount == kRootMount || !is_top(at)) return -EINVAL;
  std::set<std::uint64_t> gone{at.mount};
  std::vector<std::shared_ptr<FakeVolume>> volumes;
  for (const Mount& mount : mounts_) {  // those above come before those below
    if (gone.contains(mount.point.mount)) gone.insert(mount.id);
    if (gone.contains(mount.id)) volumes.push_back(mount.top->inode->volume);
  }
  const bool is_open =
      std::ranges::any_of(handles_,
                          [&](const auto& open) { return open.second.at.mount == at.mount; }) ||
      std::ranges::any_of(
          files_, [&](const File& file) { return file.references > 0 && file.mount == at.mount; });
  if (!lazy && (is_open || gone.size() > 1)) return -EBUSY;
  std::erase_if(mounts_, [&](const Mount& mount) { return gone.contains(mount.id); });
  for (const auto& volume : volumes) release(volume);
  return 0;
}

/// Whether a file or directory of it is open.
bool FakeFs::is_used(const FakeVolume& volume) const {
  return std::ranges::any_of(
             handles_,
             [&](const auto& open) { return open.second.at.inode().volume.get() == &volume; }) ||
         std::ranges::any_of(files_, [&](const File& file) {
           return file.references > 0 && file.dentry->inode->volume.get() == &volume;
         });
}

void FakeFs::release(const std::shared_ptr<FakeVolume>& volume) {
  if (volume->dev == 0 || volume->top == root_ || is_used(*volume)) return;
  if (std::ranges::any_of(mounts_,
                          [&](const Mount& mount) { return mount.top->inode->volume == volume; })) {
    return;
  }
  volume->dev = 0;
  std::vector<InodePtr> todo{volume->top->inode};
  while (!todo.empty()) {
    const InodePtr inode = todo.back();
    todo.pop_back();
    for (const FakeInode::Mark& mark : std::exchange(inode->marks, {})) {
      mark.by->queue(mark.wd, IN_UNMOUNT, 0, "");
      mark.by->forget(mark.wd);
    }
    for (const auto& [name, child] : inode->children) todo.push_back(child->inode);
  }
}

std::optional<std::string> FakeFs::mounts_below(const std::string& path) {
  std::vector<std::string> lines;
  for (const Mount& mount : mounts_) {
    const std::string point = path_of(mount.point);
    if (point != path && !point.starts_with(path + '/')) continue;
    std::string line = std::to_string(mount.id) + ' ';
    if (point != path) line += point.substr(path.size() + 1);
    lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

// ------------------------------------------------------------------------------------- faults

int FakeFs::set_fault(const std::string& path, FakeCall call, int error, int times) {
  int failed = 0;
  const DentryPtr dentry = existing(path, failed);
  if (dentry == nullptr) return failed;
  dentry->inode->faults[call] = {error, times};
  faulty_.push_back(dentry->inode);
  return 0;
}

int FakeFs::set_hang(const std::string& path, bool hangs) {
  int failed = 0;
  const DentryPtr dentry = existing(path, failed);
  if (dentry == nullptr) return failed;
  dentry->inode->hangs = hangs;
  faulty_.push_back(dentry->inode);
  return 0;
}

void FakeFs::mend() {
  for (const auto& weak : std::exchange(faulty_, {})) {
    const InodePtr inode = weak.lock();
    if (inode == nullptr) continue;
    inode->faults.clear();
    inode->hangs = false;
  }
}

// ------------------------------------------------------------------------------------- auditing

void FakeFs::visit(const std::string& path, const std::function<bool(const std::string&)>& enters,
                   const std::function<void(const std::string&, const Seen&)>& each) {
  int error = 0;
  const Where top = walk({root_}, path, true, error);
  if (!top || top.inode().kind != FakeInode::Kind::kDirectory) return;
  std::vector<std::pair<std::string, Where>> todo{{"", top}};
  while (!todo.empty()) {
    const auto [at, directory] = todo.back();
    todo.pop_back();
    for (const auto& [name, entry] : directory.inode().children) {
      const Where child = covered_by({entry, directory.mount});
      const std::string below = at.empty() ? name : at + '/' + name;
      each(below, {child.dentry.get(), child.dentry->inode.get(), has_writer(child.inode())});
      if (child.inode().kind == FakeInode::Kind::kDirectory && enters(below)) {
        todo.emplace_back(below, child);
      }
    }
  }
}

}  // namespace inotifier::testing
