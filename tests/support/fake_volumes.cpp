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

/// Through the mount points, as the daemon would name it.
std::string FakeFs::path_of(const FakeDentry& dentry) const {
  std::string path;
  for (const FakeDentry* at = &dentry; at->parent != nullptr; at = at->parent.get()) {
    path = '/' + at->name + path;
  }
  return path.empty() ? "/" : path;
}

int FakeFs::mount(const std::string& path, const std::string& name, const std::string& type) {
  int error = 0;
  const DentryPtr point = existing(path, error);
  if (point == nullptr) return error;
  if (point->inode->kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
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
  }
  auto top = std::make_shared<FakeDentry>();
  top->inode = volume->top->inode;
  top->name = point->name;
  top->parent = point->parent;
  top->mount = ++last_mount_;
  point->mounted = top;
  mounts_.push_back({top->mount, point, top});
  return 0;
}

int FakeFs::bind(const std::string& from, const std::string& path) {
  int error = 0;
  const DentryPtr source = existing(from, error);
  const DentryPtr point = source == nullptr ? nullptr : existing(path, error);
  if (point == nullptr) return error;
  if (source->inode->kind != FakeInode::Kind::kDirectory ||
      point->inode->kind != FakeInode::Kind::kDirectory) {
    return -ENOTDIR;
  }
  // What contains its own mount would have no end for a walk that does not know of aliases.
  for (const FakeDentry* at = point.get(); at != nullptr; at = at->parent.get()) {
    if (at->inode == source->inode) return -ELOOP;
  }
  auto top = std::make_shared<FakeDentry>();
  top->inode = source->inode;
  top->name = point->name;
  top->parent = point->parent;
  top->mount = ++last_mount_;
  point->mounted = top;
  mounts_.push_back({top->mount, point, top});
  return 0;
}

int FakeFs::unmount(const std::string& path, bool lazy) {
  const auto at = std::ranges::find_if(mounts_ | std::views::reverse, [&](const Mount& mount) {
    return path_of(*mount.top) == path;
  });
  if (at == mounts_.rend()) return -EINVAL;
  const Mount mount = *at;
  const auto volume = mount.top->inode->volume;
  const auto is_below = [&](const Mount& other) {
    return other.id != mount.id && path_of(*other.top).starts_with(path + '/');
  };
  if (!lazy) {
    if (std::ranges::any_of(mounts_, is_below)) return -EBUSY;
    const bool is_last = std::ranges::count_if(mounts_, [&](const Mount& other) {
                           return other.top->inode->volume == volume;
                         }) == 1;
    if (is_last && is_used(*volume)) return -EBUSY;
  }
  std::vector<Mount> gone{mount};
  std::ranges::copy_if(mounts_, std::back_inserter(gone), is_below);
  for (const Mount& one : gone) {
    one.point->mounted = nullptr;
    std::erase_if(mounts_, [&](const Mount& other) { return other.id == one.id; });
  }
  for (const Mount& one : gone) release(one.top->inode->volume);
  return 0;
}

/// Whether a file or directory of it is open.
bool FakeFs::is_used(const FakeVolume& volume) const {
  return std::ranges::any_of(handles_,
                             [&](const auto& open) {
                               return open.second.dentry->inode->volume.get() == &volume;
                             }) ||
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
    const std::string point = path_of(*mount.point);
    if (point != path && !point.starts_with(path + '/')) continue;
    std::string line = std::to_string(mount.top->inode->volume->dev) + ' ';
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
  const DentryPtr top = walk(root_, path, true, error);
  if (top == nullptr || top->inode->kind != FakeInode::Kind::kDirectory) return;
  std::vector<std::pair<std::string, DentryPtr>> todo{{"", top}};
  while (!todo.empty()) {
    const auto [at, directory] = todo.back();
    todo.pop_back();
    for (const auto& [name, entry] : directory->inode->children) {
      DentryPtr child = entry;
      while (child->mounted != nullptr) child = child->mounted;
      const std::string below = at.empty() ? name : at + '/' + name;
      each(below, {child.get(), child->inode.get(), has_writer(*child->inode)});
      if (child->inode->kind == FakeInode::Kind::kDirectory && enters(below)) {
        todo.emplace_back(below, child);
      }
    }
  }
}

}  // namespace inotifier::testing
