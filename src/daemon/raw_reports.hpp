// The inotify records of a watch as events of their own (`in_create`, ...), for the types that its
// configuration names. Owned by an ActiveWatch; pipeline thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/processor.hpp"
#include "source/decode.hpp"

namespace inotifier {

class RawReports {
 public:
  /// `types` may hold others as well.
  explicit RawReports(const std::vector<std::string>& types);

  bool any() const { return types_ != 0; }
  /// What inotify has to report for them.
  std::uint32_t mask() const;
  void on_record(const Record& record, std::string_view path, Out& out) const;

 private:
  std::uint32_t types_ = 0;  ///< bits of the records that are wanted
};

}  // namespace inotifier
