#include "journal/journal.hpp"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/fallback_directory.hpp"
#include "base/log.hpp"
#include "fs/real_fs.hpp"
#include "journal/schema.hpp"

namespace inotifier {
namespace {

constexpr const char* kLocking =
    "PRAGMA locking_mode = EXCLUSIVE";  // the index of the WAL in memory, no lock calls a commit
// What a commit keeps in the WAL before it is copied into the database: 16 MiB.
constexpr std::array kPragmas{
    "PRAGMA journal_mode = WAL",  "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -8192",  "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY", "PRAGMA trusted_schema = OFF",
};
constexpr Nanos kTidyInterval = 10 * kSecond;
constexpr Nanos kNoteInterval = 3600 * kSecond;
// Entries are so much younger than they are taken for, at most; and a part of what is asked for.
constexpr Nanos kLongestMark = 3600 * kSecond;
constexpr Nanos kMarksPerRetain = 64;
// A consumer that gets nowhere holds scans back no longer.
constexpr Nanos kLongestHold = 600 * kSecond;
// Of retain_size, of what no consumer may lose yet: the rest is for what cannot wait.
constexpr double kUnreadShare = 0.8;
// Bytes: a log that has more room than that for a turn's events need not be counted.
constexpr double kNear = 4 << 20;

/// While it lives, files are made for their owner alone.
class PrivateFiles {
 public:
  PrivateFiles() : before_(::umask(0077)) {}
  ~PrivateFiles() { ::umask(before_); }
  PrivateFiles(const PrivateFiles&) = delete;
  PrivateFiles& operator=(const PrivateFiles&) = delete;

 private:
  mode_t before_;
};

std::string no_room(const sqlite::Error& error) {
  if (error.is_out_of_memory()) {
    return std::string(error.what()) + ": free some, or raise the limit of memory (ulimit -v)";
  }
  return std::string(error.what()) +
         ": there is no room for the journal: free some on its file system, or raise the quota or "
         "the limit of file sizes (ulimit -f)";
}

}  // namespace

// --- opening

Journal::Journal(JournalOptions options, const Now& start) : options_(std::move(options)) {
  if (!options_.path.empty()) lock();
  try {
    if (!options_.path.empty()) open();
    events_.emplace(database(), options_.daemon_name, options_.daemon_name_given, start.wall);
    state_.emplace(database());
    clock_.emplace(database(), start);
    events_->reserve_positions();
  } catch (const sqlite::Error& error) {
    if (may_be_retried(error)) throw SetupError(no_room(error));
  }
}

/// A clean end keeps the time until now; the wall clock goes before positions again at the next
/// start, for the copy that somebody restores.
Journal::~Journal() {
  if (!database_ || blocked_ || broken_) return;
  try {
    clock_->write();
    events_->release_positions();
  } catch (const sqlite::Error&) {  // NOLINT(bugprone-empty-catch): as after a kill
  }
}

void Journal::lock() {
  const std::filesystem::path directory = std::filesystem::path(options_.path).parent_path();
  if (!directory.empty()) {
    std::error_code error;
    secure_if_fallback(directory.native());
    std::filesystem::create_directories(directory, error);
    if (error) {
      throw SetupError(describe("mkdir", directory.native(), error.value()) +
                       ": make it, owned by the daemon's user, or set [journal] path");
    }
    if (is_remote(directory.native())) {
      throw SetupError(
          "journal " + options_.path +
          ": it lies on a network or FUSE file system, where locks and "
          "the order of writes cannot be relied on: set [journal] path to a local one");
    }
  }
  if (!lock_.take(options_.path)) {
    throw SetupError("another inotifier uses the journal " + options_.path +
                     " already: stop it, or set another [journal] path");
  }
}

void Journal::open() {
  if (::access(options_.path.c_str(), R_OK | W_OK) != 0 && errno != ENOENT) {
    throw SetupError(describe("open", options_.path, errno) +
                     ": the daemon's user must be able to read and write it: give it to that user "
                     "(chown), or set another [journal] path");
  }
  {
    const PrivateFiles private_files;  // the paths of all files are in it
    database_ = sqlite::Database(options_.path);
    database_.leave_alone(true);  // it may be none of ours
    database_.run(kLocking);
    check_format();
    for (const char* pragma : kPragmas) database_.run(pragma);
  }
  const bool power_safe = options_.durability == Config::Journal::Durability::kPower;
  database_.run(power_safe ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  migrate();
  database_.leave_alone(false);
}

/// Before anything is written to it.
void Journal::check_format() {
  const auto version = database_.number("PRAGMA user_version");
  const auto application = database_.number("PRAGMA application_id");
  const bool empty = database_.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (!empty && application != schema::kApplicationId) {
    throw SetupError("journal " + options_.path +
                     ": this is a database of another program; set another [journal] path");
  }
  if (version > schema::kVersion) {
    throw SetupError("journal " + options_.path + ": made by a newer inotifier (format " +
                     std::to_string(version) + ", this one knows " +
                     std::to_string(schema::kVersion) +
                     "): run that one, or set another [journal] path");
  }
}

void Journal::migrate() {
  const auto version = database_.number("PRAGMA user_version");
  for (auto next = version; next < schema::kVersion; ++next) {
    sqlite::Transaction transaction(database_);
    database_.run(schema::kMigrations[static_cast<std::size_t>(next)]);
    database_.run(("PRAGMA application_id = " + std::to_string(schema::kApplicationId)).c_str());
    database_.run(("PRAGMA user_version = " + std::to_string(next + 1)).c_str());
    transaction.commit();
  }
}

bool Journal::may_be_retried(const sqlite::Error& error) {
  if (error.is_full()) return true;
  broken_ = true;
  if (error.is_locked()) {
    throw SetupError(std::string(error.what()) +
                     ": another program has the journal open (sqlite3?): close it there");
  }
  if (error.is_corrupt()) {
    database_.leave_alone(true);
    throw SetupError(
        std::string(error.what()) +
        ": the journal is damaged. Nothing was overwritten. Restore a copy, or move the "
        "file and its -wal away: a new journal announces again what is there");
  }
  throw SetupError(std::string(error.what()) +
                   ": the journal cannot be used; look at the file system it lies on");
}

// --- watches

Journal::Watch Journal::open_watch(std::string_view name, std::string_view previous_name,
                                   std::string_view root) {
  try {
    return state_->open_watch(name, previous_name, root, clock_->last());
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
    throw SetupError(no_room(error));
  }
}

void Journal::change_watches(const WatchChange& change) {
  if (!database_) return;
  StateStore::Open before = state_->open();
  try {
    sqlite::Transaction transaction(database_);
    for (const std::int64_t watch : change.closed) state_->close_watch(watch, clock_->last());
    for (const WatchConfig* watch : change.opened) {
      state_->open_watch(watch->name, watch->previous_name, watch->path, clock_->last());
    }
    transaction.commit();
  } catch (const sqlite::Error& error) {
    state_->restore(std::move(before));
    (void)may_be_retried(error);
    throw SetupError(no_room(error));
  }
}

void Journal::load(const Tables& tables) {
  if (!database_) return;
  try {
    state_->load(tables);
    release_memory();
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
    throw SetupError(error.what());
  }
}

void Journal::release_memory() {
  if (database_ && !blocked_) database_.run("PRAGMA shrink_memory");
  malloc_trim(0);
}

// --- a turn

bool Journal::commit(const std::vector<WatchReport>& turn, Nanos time,
                     std::span<const Tables> tables, const Publish& publish) {
  events_->encode(turn, time);
  if (database_ && !write(tables)) return false;
  events_->publish(publish);
  return true;
}

bool Journal::retry(std::span<const Tables> tables, const Publish& publish) {
  if (!blocked_) return true;
  try {
    // The WAL, which may be what finds no room, is written from its beginning afterwards.
    database_.run("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
  }
  if (!write(tables)) return false;
  log::info("journal {}: it can be written again", options_.path);
  events_->publish(publish);
  return true;
}

bool Journal::write(std::span<const Tables> tables) {
  try {
    sqlite::Transaction transaction(database_);
    events_->write();
    for (const Tables& changed : tables) state_->write(changed, events_->announced());
    const bool writes_clock = clock_->is_due_with_others();
    if (writes_clock) clock_->write();
    transaction.commit();
    if (writes_clock) clock_->committed();
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
    if (!std::exchange(blocked_, true)) {
      log::error("{}. Nothing is announced until there is", no_room(error));
    }
    return false;
  }
  blocked_ = false;
  events_->committed();
  for (const Tables& changed : tables) StateStore::committed(changed);
  if (events_->bytes() > options_.retain_size) next_tidy_ = 0;
  return true;
}

// --- keeping

/// What consumers that have not expired still want: entries after this position. The end if there
/// are none.
std::uint64_t Journal::held(const Now& now) {
  std::uint64_t position = events_->last_position();
  sqlite::Statement sql(database_, "SELECT min(position) FROM consumers WHERE used>?");
  sql.bind(1, ran(now) - options_.consumer_expiry);
  if (sql.step() && !sql.is_null(0)) position = std::min(position, sql.position(0));
  return position;
}

/// Some of it. False if there is none.
bool Journal::give_up_old(const Now& now) {
  const std::int64_t excess = events_->bytes() - options_.retain_size;
  if (excess > 0 && events_->evict(events_->last_position(), excess)) return true;
  const std::uint64_t old = events_->there_at(ran(now) - options_.retain);
  if (old > 0 && events_->evict(std::min(old, held(now)))) return true;
  return state_->forget_watch(ran(now) - options_.retain);
}

bool Journal::tidy(const Now& now) {
  clock_->watch_wall_clock(now);
  if (!database_ || blocked_) return false;
  try {
    events_->reserve_positions();
    if (now.mono < next_tidy_) return false;
    const Nanos interval = std::min(kLongestMark, options_.retain / kMarksPerRetain);
    const AgeMarks& ages = events_->ages();
    const bool has_new = events_->last_position() > ages.last_position();
    if (has_new && ran(now) - ages.last_ran() >= interval) events_->mark_age(ran(now));
    if (clock_->is_due(now)) {
      clock_->write();
      clock_->committed();
    }
    if (now.mono >= next_note_) {
      next_note_ = now.mono + kNoteInterval;
      state_->note_open(ran(now));
    }
    if (give_up_old(now)) return true;
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);  // deleting wants room, too: the next time
  }
  next_tidy_ = now.mono + kTidyInterval;
  return false;
}

/// A log that is full is nothing unusual, nor is a consumer that is a moment behind: it counts how
/// much of it nobody in use may lose yet.
std::size_t Journal::room(const Now& now) {
  constexpr auto kAny = std::numeric_limits<std::size_t>::max();
  const auto bytes = static_cast<double>(events_->bytes());
  const double limit = static_cast<double>(options_.retain_size) * kUnreadShare;
  const bool is_near = bytes > limit - std::min(limit / 2, kNear);
  const std::uint64_t after =
      is_near && wanted_after_ ? wanted_after_(now) : events_->last_position();
  if (std::exchange(wanted_, after) != after) wanted_since_ = now.mono;
  const bool is_behind = after < events_->last_position();
  // Where nobody is, the limit alone has room for a turn's events, unless it is a small one.
  const bool has_room = !is_near || (!is_behind && limit > kNear);
  if (has_room || now.mono - wanted_since_ > kLongestHold) {
    is_crowded_ = false;
    return kAny;
  }
  const std::uint64_t oldest = events_->first_number();
  const std::uint64_t count = events_->count();
  const std::uint64_t had = is_behind ? std::max(events_->number_at(after), oldest - 1) : count;
  const double mean = bytes / static_cast<double>(std::max<std::uint64_t>(1, count + 1 - oldest));
  const double left = limit - mean * static_cast<double>(count - had);
  if (is_crowded_ && left < limit / 2) return 0;
  const auto room = static_cast<std::size_t>(std::max(0.0, left / mean));
  is_crowded_ = room == 0;
  return room;
}

}  // namespace inotifier
