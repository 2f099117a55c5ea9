// The answer to "why is this file not here?": what a watch knows of one path, and what keeps it.
// Between turns, on the pipeline thread; nothing is changed by it.
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/hex.hpp"
#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "daemon/pipeline.hpp"

namespace inotifier {
namespace {

// Of the files that wait below a directory so many are named.
constexpr std::size_t kMostNamed = 100;

std::string_view kind_name(std::uint32_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "directory";
  if (S_ISLNK(mode)) return "symbolic link";
  if (S_ISFIFO(mode)) return "FIFO";
  if (S_ISSOCK(mode)) return "socket";
  return "device";
}

/// The reply about one watch, as it grows.
class Account {
 public:
  explicit Account(const Now& now) : now_(now) {}

  void add(std::string_view key, Value value) { fields_.emplace_back(key, std::move(value)); }
  void add_time(std::string_view key, Nanos mono) {
    if (mono != 0) add(key, rfc3339(now_.wall + (mono - now_.mono)));
  }
  Value::Map because(std::string_view why) {
    fields_.emplace_back("why", why);
    return std::move(fields_);
  }
  Value::Map because(const Waiting& waiting) {
    add_time("since", waiting.since);
    add_time("until", waiting.until);
    return because(waiting.what);
  }
  /// Refused by the filters at `at`, a path relative to the root.
  Value::Map because(std::string_view prefix, const Filters::Reason& reason, std::string_view at) {
    add("at", to_utf8(at));
    if (reason.pattern != nullptr) add("pattern", to_utf8(reason.pattern->pattern()));
    const bool temporary = reason.verdict == Filters::Verdict::kTemporary;
    return because(std::string(prefix) + (temporary                   ? "temporary"
                                          : reason.pattern != nullptr ? "excluded"
                                                                      : "not_included"));
  }

 private:
  const Now& now_;
  Value::Map fields_;
};

/// The parent's path and the name.
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Value::Map stat_fields(const Stat& stat) {
  return {{"kind", kind_name(stat.mode)},
          {"size", stat.size},
          {"mtime", rfc3339(stat.mtime)},
          {"inode", std::to_string(stat.inode)}};
}

Value::Map row_fields(const Row& row) {
  return {{"size", row.size},
          {"mtime", rfc3339(row.mtime)},
          {"inode", std::to_string(row.inode)},
          {"revision", static_cast<std::int64_t>(row.revision)}};
}

}  // namespace

/// What became of a version that has a row. `now`: what the disk shows, if it shows it.
std::string_view ActiveWatch::word_of(const Row& row, const Stat* now) const {
  if (row.state == Row::State::kNoArrival) {
    return config_.processor == "create-via-chunks" ? "not_via_temporary" : "existing_ignored";
  }
  if (!wants("file.completed")) return "not_published";
  const bool same = now == nullptr || row.same_version(*now, source_->keeps_inodes());
  return same ? "announced" : "changed";
}

/// What of the files below a directory is waited for.
Value::Map ActiveWatch::explain_directory(std::string_view path) const {
  WatchTable& table = source_->directories();
  std::map<std::string, std::int64_t, std::less<>> counts;
  Value::Array named;
  std::string directory;
  processor_->each_waiting([&](DirId dir, std::string_view name, const Waiting& waiting) {
    if (!table.path(dir, directory)) return;
    const bool is_below = path.empty() || directory == path ||
                          (directory.starts_with(path) && directory[path.size()] == '/');
    if (!is_below) return;
    ++counts[std::string(waiting.what)];
    if (named.size() < kMostNamed) {
      named.emplace_back(Value::Map{{"path", to_utf8(join(config_.path, join(directory, name)))},
                                    {"why", waiting.what}});
    }
  });
  Value::Map waiting;
  for (const auto& [what, count] : counts) waiting.emplace_back(what, count);
  return {{"waiting", std::move(waiting)}, {"paths", std::move(named)}};
}

Value::Map ActiveWatch::explain(const std::string& path, const Now& now) {
  Account account(now);
  account.add("watch", config_.name);
  account.add("root", to_utf8(config_.path));
  account.add("processor", config_.processor);
  if (source_->is_lost()) return account.because("root_lost");
  for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    const auto reason = filters_.reason_of_directory(std::string_view(path).substr(0, end));
    if (reason.verdict != Filters::Verdict::kAdmitted) {
      return account.because("directory_", reason, std::string_view(path).substr(0, end));
    }
  }
  if (!config_.recursive && path.find('/') != std::string::npos) {
    return account.because("not_recursive");
  }
  // Only through directories that the watch knows: never into a volume that may not answer.
  const auto [parent, name] = split(path);
  const DirId dir = source_->directories().find(parent);
  Stat stat;
  int error = EAGAIN;
  if (dir != kNoDir && !path.empty()) error = source_->stat(dir, name, stat);
  source_->end_turn();  // no descriptor is kept
  if (error == 0) account.add("file", stat_fields(stat));
  if (path.empty() || (error == 0 && S_ISDIR(stat.mode))) {
    const auto reason = filters_.reason_of_directory(path);
    if (reason.verdict != Filters::Verdict::kAdmitted) {
      return account.because("directory_", reason, path);
    }
    for (auto& [key, value] : explain_directory(path)) account.add(key, std::move(value));
    return account.because(source_->directories().find(path) != kNoDir ? "directory"
                                                                       : "directory_unknown");
  }
  const auto reason = filters_.reason_of_file(path);
  const auto waiting = dir == kNoDir ? std::nullopt : processor_->waiting({dir, name});
  if (reason.verdict != Filters::Verdict::kAdmitted) {
    if (waiting) account.add_time("since", waiting->since);
    return account.because("", reason, path);
  }
  for (const EventSource::Unanswered& one : source_->unanswered()) {
    if (one.path != path) continue;
    account.add_time("since", one.since);
    return account.because("not_responding");
  }
  if (waiting) return account.because(*waiting);
  const Row* row = dir == kNoDir ? nullptr : files_.find(dir, name);
  if (row != nullptr && row->state != Row::State::kStalled) {
    account.add("known", row_fields(*row));
    return account.because(word_of(*row, error == 0 ? &stat : nullptr));
  }
  if (is_absence(error)) return account.because("not_there");
  if (error == EACCES || error == EPERM) return account.because("unreadable");
  if (error == 0 && !S_ISREG(stat.mode)) return account.because("not_regular");
  if (error == 0 && stat.size < config_.min_size) {
    account.add("min_size", config_.min_size);
    return account.because("too_small");
  }
  if (!source_->is_ready() || processor_->undecided() > 0) return account.because("not_scanned");
  return account.because(dir == kNoDir ? "directory_unknown" : "not_seen");
}

Value::Array Pipeline::explain(const std::string& path, const Now& now) const {
  Value::Array accounts;
  for (ActiveWatch* watch : live_) {
    const std::string& root = watch->config().path;
    const std::string_view below = root == "/" ? std::string_view() : std::string_view(root);
    if (path != root && !(path.starts_with(below) && path[below.size()] == '/')) continue;
    const std::string relative = path == root ? "" : path.substr(below.size() + 1);
    Value::Map account = watch->explain(relative, now);
    const auto [parent, name] = split(relative);
    const DirId dir = watch->source().directories().find(parent);
    const std::string id = dir == kNoDir ? "" : journal_.state().event_id(watch->id(), dir, name);
    if (!id.empty()) account.emplace_back("id", hex(id));
    if (scans_held_) account.emplace_back("scans_wait", true);
    accounts.emplace_back(std::move(account));
  }
  return accounts;
}

}  // namespace inotifier
