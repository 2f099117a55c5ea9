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
    fs_.enter();
    FakeInode& inode = *directory_->inode;
    if (const int error = fs_.fault(inode, FakeCall::kNext); error != 0) return error;
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
  const auto volume = make_volume("/", "");
  volume->last_number = 11;  // ext4's first number of one's own is 12
  give_number(*volume);
  root_ = volume->top = std::make_shared<FakeDentry>();
  root_->inode = make_inode(FakeInode::Kind::kDirectory, volume);
  root_->inode->links = 1;
}

FakeFs::~FakeFs() {
  closing_ = true;
  mounts_.clear();
  for (const auto& volume : volumes_) {
    clear(*volume->top);
    volume->top.reset();
  }
}

/// Directory and entry hold each other.
void FakeFs::clear(FakeDentry& dentry) {
  for (const auto& [name, child] : std::exchange(dentry.inode->children, {})) clear(*child);
}

// ------------------------------------------------------------------------------------- the tree

FakeFs::InodePtr FakeFs::make_inode(FakeInode::Kind kind,
                                    const std::shared_ptr<FakeVolume>& volume) {
  auto inode = std::make_shared<FakeInode>(*this, kind);
  inode->volume = volume;
  auto& free = volume->free_numbers;
  if (free.empty()) {
    inode->number = ++volume->last_number;
  } else {
    inode->number = *free.begin();
    free.erase(free.begin());
  }
  inode->mode = kind == FakeInode::Kind::kDirectory ? 0755 : 0644;
  inode->btime = inode->atime = inode->mtime = inode->ctime = stamp(*inode);
  return inode;
}

void FakeFs::gone(FakeInode& inode) {
  if (closing_) return;
  inode.volume->free_numbers.insert(inode.number);
  for (const FakeInode::Mark& mark : std::exchange(inode.marks, {})) {
    if ((mark.mask & IN_DELETE_SELF) != 0) mark.by->queue(mark.wd, IN_DELETE_SELF, 0, "");
    mark.by->forget(mark.wd);
  }
}

FakeFs::Where FakeFs::walk(Where from, std::string_view path, bool follow, int& error,
                           bool may_hang) {
  std::string rest(path);
  int links = 0;
  Where at = std::move(from);
  while (true) {
    if (may_hang && at.inode().hangs && at.inode().kind == FakeInode::Kind::kDirectory) {
      throw FakeHang("the daemon waits for ever at " + path_of(at));
    }
    const auto begin = rest.find_first_not_of('/');
    if (begin == std::string::npos) return at;
    const auto end = std::min(rest.find('/', begin), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    rest.erase(0, end);
    if (at.inode().kind != FakeInode::Kind::kDirectory) {
      error = at.inode().kind == FakeInode::Kind::kSymlink ? -ELOOP : -ENOTDIR;
      return {};
    }
    if (name == ".") continue;
    if (name.size() > options_.name_max) {
      error = -ENAMETOOLONG;
      return {};
    }
    const auto found = at.inode().children.find(name);
    if (found == at.inode().children.end()) {
      error = -ENOENT;
      return {};
    }
    Where next = covered_by({found->second, at.mount});
    if (follow && next.inode().kind == FakeInode::Kind::kSymlink) {
      if (++links > 40) {
        error = -ELOOP;
        return {};
      }
      rest = next.inode().target + rest;
      if (rest.starts_with('/')) at = {root_};
      continue;
    }
    at = std::move(next);
  }
}

void FakeFs::end_creation() {
  if (const InodePtr made = creating_.lock()) {
    for (FakeInode::Access& access : made->writers) access.from = std::min(access.from, now_.mono);
  }
}

int FakeFs::locate(const std::string& path, Place& place) {
  end_creation();  // at the latest by the time of the next command
  const auto slash = path.rfind('/');
  place.name = path.substr(slash + 1);
  int error = 0;
  const Where above = walk({root_}, std::string_view(path).substr(0, slash), true, error);
  if (!above) return error;
  place.mount = above.mount;
  place.directory = above.dentry;
  const FakeInode& inode = *place.directory->inode;
  if (inode.kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  if (place.name.size() > options_.name_max) return -ENAMETOOLONG;
  if (inode.links == 0) return -ENOENT;
  const auto found = inode.children.find(place.name);
  place.found = found == inode.children.end() ? nullptr : found->second;
  return 0;
}

FakeFs::DentryPtr FakeFs::existing(const std::string& path, int& error) {
  return walk({root_}, path, false, error).dentry;
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

/// As inode_set_ctime_current() of Linux 6.13: the coarse clock, but where the last stamp was
/// looked at and would be given again, the fine one; and no coarse stamp is older than a fine one
/// before. Times are compared as the inode keeps them.
Nanos FakeFs::stamp(FakeInode& inode) {
  const Nanos offset = now_.wall - now_.mono;
  const auto kept = [this](Nanos time) { return time - time % options_.granularity; };
  const Nanos coarse = stamp_clock();
  if (!inode.volume->traits.fine_times) return kept(coarse);
  const Nanos time = kept(std::max(coarse, last_fine_ + offset));
  if (!std::exchange(inode.looked_at, false) || time > inode.ctime) return time;
  last_fine_ = std::max(now_.mono, last_fine_ + 1);
  return kept(last_fine_ + offset);
}

void FakeFs::stamp_data(FakeInode& inode) {
  inode.mtime = inode.ctime = stamp(inode);
  inode.times_set = false;
}

/// The content is another one; nobody who has it open for writing means that it is finished.
void FakeFs::changed(FakeInode& inode) {
  inode.content = ++last_content_;
  inode.quiet.clear();
  if (std::ranges::none_of(inode.writers, &FakeInode::Access::is_held)) {
    inode.quiet.insert(inode.content);
  }
}

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
    const bool is_linked = found != parent.children.end() && found->second.get() == &dentry;
    for (const FakeInode::Mark& mark : std::vector(parent.marks)) {
      if ((mark.mask & mask & IN_ALL_EVENTS) == 0) continue;
      if (!is_linked && (mark.mask & IN_EXCL_UNLINK) != 0) continue;
      mark.by->queue(mark.wd, mask, 0, dentry.name);
    }
  }
  notify(*dentry.inode, mask, 0, "");
}

// ------------------------------------------------------------------------------------- Fs

void FakeFs::enter() {
  if (hooks_.empty()) return;
  std::vector<Hook> due;
  for (Hook& hook : hooks_) {
    if (--hook.calls <= 0) due.push_back(std::move(hook));
  }
  std::erase_if(hooks_, [](const Hook& hook) { return hook.calls <= 0; });
  for (const Hook& hook : due) hook.run();
}

void FakeFs::run_hooks() {
  for (const Hook& hook : std::exchange(hooks_, {})) hook.run();
}

int FakeFs::fault(FakeInode& inode, FakeCall call) {
  const auto found = inode.faults.find(call);
  if (found == inode.faults.end() || found->second.times == 0) return 0;
  if (found->second.times > 0) --found->second.times;
  return -found->second.error;
}

FakeFs::Where FakeFs::look_up(int handle, const std::string& relative, FakeCall call, int& error) {
  enter();
  const auto from = handles_.find(handle);
  error = -EBADF;
  if (from == handles_.end()) return {};
  error = 0;
  Where found = walk(from->second.at, relative, false, error, true);
  if (!found) return {};
  if (call == FakeCall::kOpen && found.inode().hangs) {
    throw FakeHang("the daemon waits for ever in open of " + path_of(found));
  }
  error = fault(found.inode(), call);
  return error == 0 ? found : Where{};
}

FakeLook FakeFs::look_of(const FakeInode& inode, std::uint64_t root) const {
  return {inode.number,
          inode.size,
          inode.mtime,
          inode.ctime,
          options_.births ? inode.btime : 0,
          inode.content,
          inode.quiet.contains(inode.content),
          inode.times_set,
          inode.volume.get(),
          root};
}

void FakeFs::note_look(int handle, const std::string& relative, FakeInode& inode) {
  constexpr std::size_t kMostLooks = 8;
  if (inode.kind != FakeInode::Kind::kFile) return;
  const Handle& from = handles_.at(handle);
  auto& looks = looks_[from.path + '/' + relative];
  const FakeLook look = look_of(inode, from.root);
  if (!looks.empty() && looks.front() == look) return;
  looks.push_front(look);
  if (looks.size() > kMostLooks) looks.pop_back();
}

const std::deque<FakeLook>* FakeFs::looks(const std::string& path) const {
  const auto found = looks_.find(path);
  return found == looks_.end() ? nullptr : &found->second;
}

int FakeFs::open_root(const std::string& path) {
  enter();
  int error = 0;
  Where at = walk({root_}, path, true, error, true);
  if (!at) return error;
  if (at.inode().kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  if (error = fault(at.inode(), FakeCall::kOpen); error != 0) return error;
  const std::uint64_t root = at.inode().number;
  handles_[++last_handle_] = {std::move(at), path, root};
  return last_handle_;
}

int FakeFs::open_directory(int handle, const std::string& relative) {
  int error = 0;
  Where at = look_up(handle, relative, FakeCall::kOpen, error);
  if (!at) return error;
  if (at.inode().kind != FakeInode::Kind::kDirectory) return -ENOTDIR;
  const Handle& from = handles_.at(handle);
  std::string path = relative.empty() ? from.path : from.path + '/' + relative;
  const std::uint64_t root = from.root;
  handles_[++last_handle_] = {std::move(at), std::move(path), root};
  return last_handle_;
}

void FakeFs::close(int handle) {
  const auto found = handles_.find(handle);
  if (found == handles_.end()) return;
  const auto volume = found->second.at.dentry->inode->volume;
  handles_.erase(found);
  release(volume);
}

FakeFs::InodePtr FakeFs::inode_of(int handle) const {
  const auto found = handles_.find(handle);
  return found == handles_.end() ? nullptr : found->second.at.dentry->inode;
}

void FakeFs::fill(const FakeInode& inode, Stat& out) const {
  out = {};
  out.inode = inode.number;
  out.dev = inode.volume->dev;
  out.size = inode.size;
  out.mtime = inode.mtime;
  out.atime = inode.atime;
  out.ctime = inode.ctime;
  out.btime = options_.births ? inode.btime : 0;
  out.uid = inode.uid;
  out.links = static_cast<std::uint32_t>(inode.links);
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
  int error = 0;
  const Where at = look_up(handle, relative, FakeCall::kStat, error);
  if (!at) return error;
  fill(at.inode(), out);
  at.inode().looked_at = true;
  note_look(handle, relative, at.inode());
  out.mount = at.mount + 1;
  out.mount_root = is_top(at);
  return 0;
}

std::unique_ptr<Listing> FakeFs::list(int handle, int& error) {
  const DentryPtr dentry = look_up(handle, "", FakeCall::kList, error).dentry;
  if (dentry != nullptr && dentry->inode->unreadable) error = -EACCES;
  error = -error;
  if (error != 0) return nullptr;
  return std::make_unique<FakeListing>(*this, dentry);
}

/// As RealFs::writer() takes what the calls say.
Files::Writer FakeFs::writer(int handle, const std::string& relative, Stat& out, int& error) {
  using Writer = Files::Writer;
  int failed = 0;
  const Where at = look_up(handle, relative, FakeCall::kStat, failed);
  const DentryPtr& dentry = at.dentry;
  error = 0;
  // O_NOFOLLOW and RESOLVE_NO_SYMLINKS fail alike, see openat2(2).
  if (failed == -ELOOP) return Writer::kNotRegular;
  if (failed == -ENOENT || failed == -ENOTDIR) return Writer::kGone;
  if (dentry == nullptr) return Writer::kChanged;
  FakeInode& inode = *dentry->inode;
  fill(inode, out);
  inode.looked_at = true;
  if (inode.kind != FakeInode::Kind::kFile) return Writer::kNotRegular;
  if (options_.changing_probes > 0) {
    --options_.changing_probes;
    return Writer::kChanged;
  }
  if (inode.hangs) throw FakeHang("the daemon waits for ever in open of " + path_of(at));
  error = -fault(inode, FakeCall::kOpen);
  if (inode.unreadable) error = EACCES;
  if (error == ENOENT) return Writer::kGone;
  if (error == EWOULDBLOCK) return Writer::kOpen;
  if (error == EACCES || error == EPERM) return Writer::kUnknown;
  if (error != 0) return Writer::kChanged;
  notify_both(*dentry, IN_OPEN);
  notify_both(*dentry, IN_CLOSE_NOWRITE);
  error = inode.volume->traits.leases ? -fault(inode, FakeCall::kLease) : EINVAL;
  if (error == EAGAIN) return Writer::kOpen;
  if (error != 0) return error == ENOMEM || error == ENOLCK ? Writer::kChanged : Writer::kUnknown;
  if (has_writer(inode)) return Writer::kOpen;
  note_look(handle, relative, inode);
  return Writer::kNone;
}

FsTraits FakeFs::traits(int handle) {
  const InodePtr inode = inode_of(handle);
  return inode == nullptr ? options_.traits : inode->volume->traits;
}

std::uint64_t FakeFs::inode_number(const std::string& path) {
  int error = 0;
  const DentryPtr dentry = existing(path, error);
  return dentry == nullptr ? 0 : dentry->inode->number;
}

void FakeFs::set_leases(bool work) {
  options_.traits.leases = work;
  for (const auto& volume : volumes_) volume->traits.leases = work;
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
