#include "source/remote_watch.hpp"

#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "base/path.hpp"
#include "source/tree.hpp"

namespace inotifier {
namespace {

std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

DirId RemoteWatch::directory(std::string_view path) {
  DirId dir = kRootDir;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    const DirId child = table_.child(dir, name);
    dir = child == kNoDir ? table_.add(dir, name) : child;
    begin = end + 1;
  }
  return dir;
}

void RemoteWatch::on_poll_result(const PollResult& result) {
  if (result.root_error != 0 || result.unmounted) {
    if (!std::exchange(lost_, true)) {
      Value::Map data;
      data.emplace_back("reason", result.unmounted              ? "unmounted"
                                  : result.root_error == ENOENT ? "missing"
                                                                : "unreadable");
      if (!result.unmounted) {
        data.emplace_back("detail", describe("open", "the root", result.root_error));
      }
      out_.sink().on_status("lost", std::move(data));
    }
    return;
  }
  if (std::exchange(lost_, false)) out_.sink().on_status("restored", {});
  if (round_began_ == 0) round_began_ = now_.mono;
  gone_ = {result.gone.begin(), result.gone.end()};
  for (const std::string& path : result.gone) {
    const auto [parent, name] = split(path);
    RawEvent event;
    event.kind = RawEvent::Kind::kLeft;
    event.dir = directory(parent);
    event.name = name;
    event.path = path;
    out_.sink().on_raw(event);
  }
  gone_.clear();
  DirId dir = kRootDir;
  std::string_view last_parent;
  for (const PolledFile& seen : result.files) {
    const auto [parent, name] = split(seen.path);
    if (parent != last_parent) {
      dir = directory(parent);
      last_parent = parent;
    }
    RawEvent event;
    event.kind = RawEvent::Kind::kFound;
    event.origin = first_round_             ? Origin::kStartup
                   : rescan_reason_.empty() ? Origin::kPoll
                                            : Origin::kRescan;
    event.dir = dir;
    event.name = name;
    event.path = seen.path;
    event.listing = round_;
    event.stat = &seen.stat;
    out_.sink().on_raw(event);
    ++files_;
  }
  for (const auto& [path, error] : result.unreadable) {
    out_.degraded({Degraded::Reason::kUnreadable, path,
                   describe("open", path, error) + ": " + advice(EACCES)});
  }
  if (!result.end_of_round) return;
  // What a whole round did not show is asked for by name; only ENOENT says that it is gone.
  if (result.whole) {
    for (DirId at = 0; at < table_.limit(); ++at) {
      if (!table_.at(at).alive) continue;
      RawEvent event;
      event.kind = RawEvent::Kind::kListed;
      event.dir = at;
      event.listing = round_;
      out_.sink().on_raw(event);
    }
  }
  if (!asked_.empty()) asks_.ask(std::exchange(asked_, {}));
  if (first_round_) {
    Value::Map data;
    data.emplace_back("directories", result.directories);
    data.emplace_back("files", files_);
    out_.sink().on_status("ready", std::move(data));
    RawEvent event;
    event.kind = RawEvent::Kind::kScanned;
    event.origin = Origin::kStartup;
    event.rebuilt = false;
    out_.sink().on_raw(event);
    out_.sink().on_scanned(Origin::kStartup, "startup", now_.mono - round_began_);
  } else if (!rescan_reason_.empty()) {
    out_.sink().on_scanned(Origin::kRescan, rescan_reason_, now_.mono - round_began_);
    rescan_reason_.clear();
  }
  first_round_ = false;
  files_ = 0;
  round_began_ = 0;
  ++round_;
}

void RemoteWatch::rescan(std::string_view reason, Origin, bool) {
  rescan_reason_ = reason;
  asks_.hurry();
}

bool RemoteWatch::path(DirId dir, std::string_view name, std::string& out) {
  if (dir >= table_.limit() || !table_.at(dir).alive || !table_.path(dir, out)) return false;
  if (!out.empty() && !name.empty()) out += '/';
  out += name;
  return true;
}

int RemoteWatch::stat(DirId dir, std::string_view name, Stat&) {
  std::string relative;
  if (!path(dir, name, relative)) return EAGAIN;
  if (gone_.contains(relative)) return ENOENT;
  asked_.push_back(std::move(relative));
  return EAGAIN;
}

}  // namespace inotifier
