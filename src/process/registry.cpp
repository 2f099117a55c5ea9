#include "process/registry.hpp"

#include <array>

#include "process/all_events.hpp"
#include "process/completion.hpp"

namespace inotifier {
namespace {

struct Entry {
  ProcessorKind kind;
  std::unique_ptr<Processor> (*make)(const ProcessorParts& parts);
};

CompletionOptions completion_options(const ProcessorParts& parts) {
  const WatchConfig& config = parts.config;
  CompletionOptions options;
  options.writer_check = config.writer_check == WatchConfig::WriterCheck::kLease;
  options.announce_renamed = config.renamed == WatchConfig::Renamed::kAnnounce;
  options.ignore_existing = config.existing == WatchConfig::Existing::kIgnore;
  options.settle = config.settle;
  options.stalled_after = config.stalled_after;
  options.min_size = config.min_size;
  return options;
}

std::unique_ptr<Processor> make_completed(const ProcessorParts& parts) {
  return std::make_unique<Completion>(completion_options(parts), parts.filters, parts.files);
}

std::unique_ptr<Processor> make_create_via_chunks(const ProcessorParts& parts) {
  CompletionOptions options = completion_options(parts);
  options.only_via_temporary = true;
  return std::make_unique<Completion>(options, parts.filters, parts.files);
}

std::unique_ptr<Processor> make_all_events(const ProcessorParts&) {
  return std::make_unique<AllEvents>();
}

constexpr std::array kEntries{
    Entry{{"completed", "files that nobody writes any more", ProcessorKind::Publishes::kFiles},
          make_completed},
    Entry{{"create-via-chunks", "files renamed from a temporary name to a final one",
           ProcessorKind::Publishes::kFiles},
          make_create_via_chunks},
    Entry{{"all-events", "every inotify event as it is", ProcessorKind::Publishes::kRecords},
          make_all_events},
};

}  // namespace

const std::vector<ProcessorKind>& processor_kinds() {
  static const std::vector<ProcessorKind> kKinds = [] {
    std::vector<ProcessorKind> kinds;
    for (const Entry& entry : kEntries) kinds.push_back(entry.kind);
    return kinds;
  }();
  return kKinds;
}

std::unique_ptr<Processor> make_processor(const ProcessorParts& parts) {
  for (const Entry& entry : kEntries) {
    if (entry.kind.name == parts.config.processor) return entry.make(parts);
  }
  return nullptr;
}

}  // namespace inotifier
