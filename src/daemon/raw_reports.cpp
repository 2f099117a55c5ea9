#include "daemon/raw_reports.hpp"

#include <sys/inotify.h>

#include <utility>

#include "base/path.hpp"
#include "wire/raw_types.hpp"

namespace inotifier {

RawReports::RawReports(const std::vector<std::string>& types) {
  for (const std::string& type : types) types_ |= raw_bit(type);
}

std::uint32_t RawReports::mask() const { return types_ & IN_ALL_EVENTS; }

void RawReports::on_record(const Record& record, std::string_view path, Out& out) const {
  if ((record.mask & types_) == 0) return;
  for (const RawType& type : raw_types()) {
    if ((record.mask & types_ & type.bit) == 0) continue;
    Report report;
    report.type = type.name;
    report.path = path;
    report.data.emplace_back("mask", static_cast<std::int64_t>(record.mask));
    report.data.emplace_back("cookie", static_cast<std::int64_t>(record.cookie));
    report.data.emplace_back("name", to_utf8(record.name));
    report.data.emplace_back("is_dir", (record.mask & IN_ISDIR) != 0);
    out.emit(std::move(report));
  }
}

}  // namespace inotifier
