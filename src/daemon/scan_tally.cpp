#include "daemon/scan_tally.hpp"

#include <utility>

#include "base/log.hpp"

namespace inotifier {

void ScanTally::on_report(const Report& report) {
  if (!report.file || report.type == "file.stalled") return;
  Count& of_origin = count(report.file->origin);
  ++(report.type == "file.removed" ? of_origin.removed : of_origin.announced);
}

void ScanTally::on_scanned(Origin origin, std::string_view reason, Nanos duration) {
  if (origin != Origin::kPoll) ended_ = Ended{origin, std::string(reason), duration};
}

Report ScanTally::take(std::string_view watch) {
  const Ended ended = *std::exchange(ended_, std::nullopt);
  const Count of_scan = std::exchange(count(ended.origin), Count{});
  const double seconds = static_cast<double>(ended.duration) / static_cast<double>(kSecond);
  Report report;
  if (ended.origin == Origin::kStartup) {
    report.type = "watch.scanned";
    report.data.emplace_back("found", of_scan.found);
    report.data.emplace_back("announced", of_scan.announced);
    log::info("watch {}: scanned, {} files found, {} announced", watch, of_scan.found,
              of_scan.announced);
  } else {
    report.type = "watch.rescan";
    report.data.emplace_back("reason", ended.reason);
    report.data.emplace_back("recovered", of_scan.announced);
    report.data.emplace_back("removed", of_scan.removed);
    log::warning("watch {}: rescan ({}) recovered {} files in {:.3f} s", watch, ended.reason,
                 of_scan.announced, seconds);
  }
  report.data.emplace_back("seconds", seconds);
  return report;
}

}  // namespace inotifier
