// When a scan of the whole watch is due: at once after the first doubt, later and later after those
// that follow soon. While one runs, any number of doubts leave exactly one more due. Pure; owned by
// a Watcher, pipeline thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inotifier/processor.hpp"

namespace inotifier {

class Rescans {
 public:
  struct Due {
    std::string reason;
    Origin origin = Origin::kRescan;
    bool absence_counts = true;  ///< what a listing does not show is worth asking for
  };

  /// After one that does not count absence (volumes come and go) follows one that does.
  void ask(std::string_view reason, Origin origin = Origin::kRescan, bool absence_counts = true);
  void clear() {
    due_.reset();
    again_ = false;
  }
  /// Records may have been missed; a scan in progress sees to it.
  void doubt() { ++doubts_; }
  bool pending() const { return due_.has_value(); }
  /// While one is pending. Monotonic time.
  Nanos due_at(Nanos now) const;
  Due take(Nanos now);
  /// How often one was asked for; the start counts as one.
  std::uint32_t doubts() const { return doubts_; }
  void ended(Origin origin, Nanos now);

 private:
  std::optional<Due> due_;
  bool again_ = false;  ///< due_ does not count absence: one that does follows
  std::uint32_t doubts_ = 1;
  Nanos last_end_ = 0;
  Nanos back_off_ = 0;
};

}  // namespace inotifier
