// What `check` has to say, and how: aligned and coloured on a terminal, as comments of the TOML
// otherwise, or collected for JSON. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/limits.hpp"
#include "cli/survey.hpp"
#include "config/config.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

struct Finding {
  enum class Level { kOk, kNote, kWarning, kError } level = Level::kOk;
  std::string text;
  std::string remedy;  ///< "" if there is nothing to do
};
using Findings = std::vector<Finding>;

std::string_view name_of(Finding::Level level);

/// What the survey of a watch means. Pure but for asking who we are.
Findings judge(const WatchConfig& watch, const Survey& survey);
/// Whether `needed` watches in `instances` instances fit besides what is used.
Findings judge(const InotifyLimits& limits, std::int64_t needed, std::int64_t instances);
/// Whether the journal can be kept there.
Findings judge(const Config::Journal& journal, const JournalSurvey& place);
/// Who can connect: reads the key files, and looks up the group.
Findings judge_security(const Config& config);
/// What the configuration says besides what its syntax demands.
Findings judge(const Config& config);

/// 12345 -> "12,345"
std::string grouped(std::int64_t number);

}  // namespace inotifier
