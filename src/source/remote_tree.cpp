#include "source/remote_tree.hpp"

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "base/path.hpp"
#include "source/tree.hpp"

namespace inotifier {
namespace {

// A disk that was asleep needs several seconds, as for a root.
constexpr Nanos kSilence = 5 * kSecond;

std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

DirId RemoteTree::directory(std::string_view path) {
  DirId dir = top_.dir;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    const DirId child = table_.child(dir, name);
    dir = child == kNoDir ? table_.add(dir, name) : child;
    begin = end + 1;
  }
  return dir;
}

/// The volume is not there, or does not let itself be opened.
void RemoteTree::on_unseen(const PollResult& result) {
  if (std::exchange(lost_, true)) return;
  Value::Map data;
  data.emplace_back("reason", result.unmounted              ? "unmounted"
                              : result.root_error == ENOENT ? "missing"
                                                            : "unreadable");
  std::string path;
  if (top_.dir != kRootDir && table_.path(top_.dir, path)) {
    data.emplace_back("directory", to_utf8(path));
  }
  if (!result.unmounted) {
    data.emplace_back("detail", describe("open", "the root", result.root_error));
  }
  out_.sink().on_status("lost", std::move(data));
}

bool RemoteTree::on_poll_result(const PollResult& result, Origin origin) {
  std::string prefix;
  if (!table_.is(top_) || !table_.path(top_.dir, prefix)) return false;
  if (result.root_error != 0 || result.unmounted) {
    on_unseen(result);
    return false;
  }
  if (std::exchange(lost_, false)) {
    Value::Map data;
    if (!prefix.empty()) data.emplace_back("directory", to_utf8(prefix));
    out_.sink().on_status("restored", std::move(data));
  }
  show(result, prefix, origin);
  if (!result.end_of_round) return false;
  // What a whole round did not show is asked for by name; only ENOENT says that it is gone.
  if (result.whole) ask_for_unlisted();
  if (!asked_.empty()) asks_.ask(std::exchange(asked_, {}));
  return true;
}

void RemoteTree::list_unanswered(Nanos now, std::vector<EventSource::Unanswered>& out) const {
  const Nanos since = asks_.asked_since();
  std::string path;
  if (since == 0 || now - since < kSilence || !table_.is(top_) || !table_.path(top_.dir, path)) {
    return;
  }
  out.push_back({std::move(path), "read", since});
}

void RemoteTree::end_round() {
  files_ = 0;
  ++round_;
}

void RemoteTree::show(const PollResult& result, const std::string& prefix, Origin origin) {
  gone_ = {result.gone.begin(), result.gone.end()};
  for (const std::string& path : result.gone) {
    const auto [parent, name] = split(path);
    const std::string whole = join(prefix, path);
    RawEvent event;
    event.kind = RawEvent::Kind::kLeft;
    event.dir = directory(parent);
    event.name = name;
    event.path = whole;
    out_.sink().on_raw(event);
  }
  gone_.clear();
  DirId dir = top_.dir;
  std::string_view last_parent;
  for (const PolledFile& seen : result.files) {
    const auto [parent, name] = split(seen.path);
    if (parent != last_parent) {
      dir = directory(parent);
      last_parent = parent;
    }
    const std::string whole = join(prefix, seen.path);
    RawEvent event;
    event.kind = RawEvent::Kind::kFound;
    event.origin = origin;
    event.dir = dir;
    event.name = name;
    event.path = whole;
    event.listing = round_;
    event.stat = &seen.stat;
    out_.sink().on_raw(event);
    ++files_;
  }
  for (const auto& [path, error] : result.unreadable) {
    const std::string whole = join(prefix, path);
    out_.degraded({Degraded::Reason::kUnreadable, whole,
                   describe("open", whole, error) + ": " + advice(EACCES)});
  }
}

void RemoteTree::ask_for_unlisted() {
  for (const DirId at : table_.subtree(top_.dir)) {
    RawEvent event;
    event.kind = RawEvent::Kind::kListed;
    event.dir = at;
    event.listing = round_;
    out_.sink().on_raw(event);
  }
}

int RemoteTree::stat(DirId dir, std::string_view name) {
  std::string path{name};
  for (DirId at = dir; at != top_.dir; at = table_.at(at).parent) {
    if (at == kNoDir || at == kRootDir) return EAGAIN;
    path = join(table_.at(at).name, path);
  }
  if (gone_.contains(path)) return ENOENT;
  asked_.push_back(std::move(path));
  return EAGAIN;
}

}  // namespace inotifier
