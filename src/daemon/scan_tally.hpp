// What came of a watch's scans: counted by origin, and reported once everything that a scan found
// was looked at. Owned by an ActiveWatch; pipeline thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inotifier/processor.hpp"

namespace inotifier {

class ScanTally {
 public:
  void on_found(Origin origin) { ++count(origin).found; }
  void on_report(const Report& report);
  void on_scanned(Origin origin, std::string_view reason, Nanos duration);

  /// A scan has ended and was not reported yet.
  bool has_ended() const { return ended_.has_value(); }
  /// watch.scanned or watch.rescan of that scan. Logs it as well.
  Report take(std::string_view watch);

 private:
  /// Of one origin since the last scan of that origin.
  struct Count {
    std::int64_t found = 0;
    std::int64_t announced = 0;
    std::int64_t removed = 0;
  };
  struct Ended {
    Origin origin;
    std::string reason;
    Nanos duration;
  };
  Count& count(Origin origin) { return counts_[static_cast<std::size_t>(origin)]; }

  std::array<Count, 6> counts_;  ///< by origin
  std::optional<Ended> ended_;
};

}  // namespace inotifier
