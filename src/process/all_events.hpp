// The processor `all-events`: nothing is decided, every record is told as it is. The telling itself
// is the pipeline's, which does the same for raw events asked for beside another processor.
#pragma once

#include <sys/inotify.h>

#include "inotifier/processor.hpp"

namespace inotifier {

class AllEvents final : public Processor {
 public:
  std::uint32_t mask() const override { return IN_ALL_EVENTS; }
  void on(const RawEvent&, const Now&, Files&, Out&) override {}
  void on_time(const Now&, Files&, Out&) override {}
  std::optional<Nanos> deadline() const override { return std::nullopt; }
};

}  // namespace inotifier
