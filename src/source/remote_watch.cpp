#include "source/remote_watch.hpp"

#include <utility>

#include "base/path.hpp"

namespace inotifier {

void RemoteWatch::on_poll_result(const PollResult& result) {
  if (round_began_ == 0) round_began_ = now_.mono;
  const Origin origin = first_round_             ? Origin::kStartup
                        : rescan_reason_.empty() ? Origin::kPoll
                                                 : Origin::kRescan;
  if (!tree_.on_poll_result(result, origin)) return;
  table_.set_identity(kRootDir, result.root);  // the next start knows that it was mounted
  if (first_round_) {
    Value::Map data;
    data.emplace_back("directories", result.directories);
    data.emplace_back("files", tree_.files());
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
  round_began_ = 0;
  tree_.end_round();
}

void RemoteWatch::rescan(std::string_view reason, Origin, bool) {
  rescan_reason_ = reason;
  tree_.hurry();
}

bool RemoteWatch::path(DirId dir, std::string_view name, std::string& out) {
  if (dir >= table_.limit() || !table_.at(dir).alive || !table_.path(dir, out)) return false;
  if (!out.empty() && !name.empty()) out += '/';
  out += name;
  return true;
}

}  // namespace inotifier
