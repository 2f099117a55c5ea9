#include "source/poll_round.hpp"

#include <sys/stat.h>

#include <memory>

#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kFilesPerParcel = 1000;

/// Closes what it opened.
class Handle {
 public:
  Handle(Fs& fs, int handle) : fs_(fs), handle_(handle) {}
  ~Handle() {
    if (handle_ >= 0) fs_.close(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  int get() const { return handle_; }

 private:
  Fs& fs_;
  int handle_;
};

}  // namespace

/// What was seen so far. False: stop.
bool PollRound::send() {
  PollResult full = std::exchange(parcel_, PollResult{});
  full.watch = options_.watch;
  full.part = options_.part;
  full.root = at_root_;
  const bool goes_on = owner_.put(std::move(full));
  owner_.asking();
  return goes_on;
}

void PollRound::run() {
  parcel_ = {};
  at_root_ = {};
  whole_ = true;
  directories_ = 0;
  unreadable_.clear();
  parcel_.end_of_round = true;
  owner_.asking();
  const Handle root(fs_, fs_.open_root(options_.root));
  if (root.get() < 0) {
    parcel_.root_error = -root.get();
    send();
    return;
  }
  fs_.stat(root.get(), "", at_root_);
  if (fs_.traits(root.get()).local) {
    parcel_.unmounted = true;
    send();
    return;
  }
  parcel_.end_of_round = false;
  look_at_asked(root.get());
  to_list_ = {""};
  while (!to_list_.empty()) {
    const std::string directory = std::move(to_list_.back());
    to_list_.pop_back();
    if (!list(root.get(), directory)) return;
  }
  parcel_.end_of_round = true;
  parcel_.whole = whole_;
  parcel_.directories = directories_;
  parcel_.unreadable = std::move(unreadable_);
  send();
}

void PollRound::look_at_asked(int root) {
  for (std::string& path : owner_.take_asked()) {
    Stat stat;
    owner_.asking();
    const int error = fs_.stat(root, path, stat);
    if (is_absence(-error)) parcel_.gone.push_back(std::move(path));
  }
}

/// False: stop.
bool PollRound::list(int root, const std::string& directory) {
  int error = 0;
  owner_.asking();
  const Handle handle(fs_, fs_.open_directory(root, directory));
  std::unique_ptr<Listing> listing;
  if (handle.get() < 0) {
    error = -handle.get();
  } else {
    listing = fs_.list(handle.get(), error);
  }
  if (!listing) {
    whole_ = false;
    if (!is_absence(error)) unreadable_.emplace_back(directory, error);
    return true;
  }
  ++directories_;
  Entry entry;
  int more = 0;
  while ((more = listing->next(entry)) > 0) {
    if (!on_entry(handle.get(), directory, entry)) return false;
  }
  if (more < 0) whole_ = false;
  return true;
}

/// False: stop.
bool PollRound::on_entry(int handle, const std::string& directory, const Entry& entry) {
  if (entry.kind == Entry::Kind::kOther) return true;
  PolledFile seen{join(directory, entry.name), {}};
  // Many network file systems do not tell the kind; the stat is needed for files anyway.
  owner_.asking();
  if (fs_.stat(handle, std::string(entry.name), seen.stat) != 0) return true;
  if (S_ISDIR(seen.stat.mode) && options_.recursive && options_.enters(seen.path)) {
    to_list_.push_back(std::move(seen.path));
  } else if (S_ISREG(seen.stat.mode)) {
    parcel_.files.push_back(std::move(seen));
    return parcel_.files.size() < kFilesPerParcel || send();
  }
  return true;
}

}  // namespace inotifier
