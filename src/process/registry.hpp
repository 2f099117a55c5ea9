// The processors that a watch can name. A new one gets a file of its own and a row in registry.cpp.
// Immutable; any thread.
#pragma once

#include <memory>

#include "config/config.hpp"
#include "inotifier/processor.hpp"
#include "process/filters.hpp"
#include "state/file_table.hpp"

namespace inotifier {

/// What a processor is made of; all of it lives as long.
struct ProcessorParts {
  const WatchConfig& config;
  const Filters& filters;
  FileTable& files;
};

/// The processor that the configuration names; null if there is none of that name.
std::unique_ptr<Processor> make_processor(const ProcessorParts& parts);

}  // namespace inotifier
