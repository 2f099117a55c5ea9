#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/arguments.hpp"
#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "daemon/watch_set.hpp"
#include "fs/real_fs.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

using Level = Finding::Level;

/// Prints as things are found, since the walk through a large tree, or a slow one, takes its time.
/// Into a file or a pipe it writes TOML, with the findings as comments.
class CheckReport {
 public:
  explicit CheckReport(bool json) : json_(json), terminal_(::isatty(STDOUT_FILENO) != 0) {
    const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
    colour_ = terminal_ && (no_color == nullptr || *no_color == '\0');
  }

  void configuration(const Config& config) {
    if (json_) return;
    if (!terminal_) {
      fmt::print("{}", to_toml(config));
      return;
    }
    fmt::print("{}\n", styled("1", config.file.empty() ? "no file" : visible(config.file)));
    const auto whole = to_toml(config);
    std::string_view text = whole;
    while (!text.empty()) {
      const auto line = text.substr(0, text.find('\n'));
      fmt::print("{}{}\n", line.empty() ? "" : "  ", styled("2", line));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
  }

  void heading(std::string_view text, std::string_view details = "") {
    if (json_) return;
    fmt::print("\n{}{}{}{}\n", comment(), styled("1", text), details.empty() ? "" : "  ", details);
    std::fflush(stdout);
  }

  /// Prints, counts, and gives them back for JSON.
  Value add(const Findings& findings) {
    Value::Array array;
    for (const auto& finding : findings) {
      worst_ = std::max(worst_, finding.level);
      if (finding.level == Level::kWarning) ++warnings_;
      if (finding.level == Level::kError) ++errors_;
      Value::Map map{{"level", std::string(name_of(finding.level))}, {"text", finding.text}};
      if (!finding.remedy.empty()) map.emplace_back("remedy", finding.remedy);
      array.emplace_back(std::move(map));
      if (!json_) print(finding);
    }
    std::fflush(stdout);
    return array;
  }

  void end() {
    if (json_) return;
    std::string text = "All is well.";
    if (errors_ + warnings_ > 0) {
      text = fmt::format("{} error{}, {} warning{}.", errors_, errors_ == 1 ? "" : "s", warnings_,
                         warnings_ == 1 ? "" : "s");
    }
    fmt::print("\n{}{}\n", comment(), styled(colour_of(worst_), text));
  }

  Level worst() const { return worst_; }

 private:
  static std::string_view colour_of(Level level) {
    switch (level) {
      case Level::kOk:
        return "32";
      case Level::kNote:
        return "36";
      case Level::kWarning:
        return "33";
      case Level::kError:
        return "31";
    }
    return "0";
  }

  void print(const Finding& finding) {
    const auto mark = fmt::format("{:<7}", name_of(finding.level));
    fmt::print("{}  {}  {}\n", comment(), styled(colour_of(finding.level), mark), finding.text);
    if (!finding.remedy.empty()) fmt::print("{}  {:7}    {}\n", comment(), "", finding.remedy);
  }

  std::string styled(std::string_view code, std::string_view text) const {
    if (!colour_ || text.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
  }

  std::string_view comment() const { return terminal_ ? "" : "# "; }

  bool json_;
  bool terminal_;
  bool colour_ = false;
  Level worst_ = Level::kOk;
  int warnings_ = 0;
  int errors_ = 0;
};

Value to_value(const WatchConfig& watch, const Survey& found, Value findings) {
  Value::Map map{{"name", watch.name}, {"path", watch.path}};
  if (found.error == 0) {
    map.emplace_back("file_system", found.traits.type);
    map.emplace_back("local", found.traits.local);
    map.emplace_back("leases", found.traits.leases);
    map.emplace_back("directories", found.directories);
    map.emplace_back("files", found.files);
    map.emplace_back("temporary", found.temporary);
    map.emplace_back("admitted", found.admitted);
    map.emplace_back("unreadable", found.unreadable);
  }
  map.emplace_back("findings", std::move(findings));
  return map;
}

Value to_value(const InotifyLimit& limit) {
  Value::Map map{{"name", limit.name}};
  if (limit.most) map.emplace_back("limit", *limit.most);
  return map;
}

Value to_value(const Config::Journal& journal, const JournalSurvey& found, Value findings) {
  Value::Map map{{"path", journal.path},
                 {"directory", found.directory},
                 {"local", !found.remote},
                 {"is_there", found.is_there},
                 {"used", found.used}};
  if (!found.type.empty()) map.emplace_back("file_system", found.type);
  if (found.free >= 0) map.emplace_back("free", found.free);
  map.emplace_back("findings", std::move(findings));
  return map;
}

struct CheckArguments {
  LoadOptions load;
  bool json = false;
};

int run_check(const CheckArguments& arguments) {
  const auto config = load_config(arguments.load, process_environment());

  CheckReport report(arguments.json);
  report.configuration(config);

  RealFs fs(RealFs::Reach::kRemote);
  Value::Array watches;
  std::int64_t needed = 0;
  std::int64_t instances = 0;
  for (const auto& watch : config.watches) {
    report.heading(watch.name, visible(watch.path));
    const auto found = survey(watch, fs);
    watches.push_back(to_value(watch, found, report.add(judge(watch, found))));
    if (watch.backend == WatchConfig::Backend::kPoll) continue;
    needed += found.directories;
    if (instances < static_cast<std::int64_t>(kUnsharedInstances)) ++instances;
  }
  report.heading("inotify");
  const auto limits = read_inotify_limits();
  const auto limit_findings = report.add(judge(limits, needed, instances));
  report.heading("journal", visible(config.journal.path));
  const auto found = survey_journal(config.journal.path, fs);
  const auto journal_findings = report.add(judge(config.journal, found));
  report.heading("security");
  const auto security_findings = report.add(judge_security(config));
  const auto about_config = judge(config);
  if (!about_config.empty()) report.heading("configuration");
  const auto config_findings = report.add(about_config);
  report.end();

  if (arguments.json) {
    const Value document =
        Value::Map{{"file", config.file},
                   {"config", to_value(config)},
                   {"watches", std::move(watches)},
                   {"limits", Value::Map{{"watches", to_value(limits.watches)},
                                         {"watches_used", limits.watches_used},
                                         {"watches_needed", needed},
                                         {"instances", to_value(limits.instances)},
                                         {"instances_used", limits.instances_used},
                                         {"instances_needed", instances},
                                         {"queued_events", to_value(limits.queued_events)},
                                         {"findings", limit_findings}}},
                   {"journal", to_value(config.journal, found, journal_findings)},
                   {"security", Value::Map{{"findings", security_findings}}},
                   {"findings", config_findings},
                   {"result", std::string(name_of(report.worst()))}};
    fmt::print("{}\n", to_json(document));
  }
  return report.worst() == Level::kError ? 1 : 0;
}

}  // namespace

Subcommand check_command() {
  return subcommand<CheckArguments>(
      "check", "validate the configuration and say what to expect from it",
      [](Options& options, CheckArguments& arguments) {
        options.text("-c,--config", arguments.load.file, "configuration file");
        options.words("DIR", arguments.load.directories, "directories to watch besides");
        options.flag("--json", arguments.json, "as JSON");
      },
      run_check);
}

}  // namespace inotifier
