// Opening a journal: locked, checked, migrated; and what is read from it once.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "fs/real_fs.hpp"
#include "journal/journal_statements.hpp"
#include "journal/schema.hpp"
#include "state/file_table.hpp"
#include "state/watch_table.hpp"

namespace inotifier {
namespace {

constexpr int kPositionBitsPerSecond = 20;
constexpr const char* kLocking =
    "PRAGMA locking_mode = EXCLUSIVE";  // the index of the WAL in memory, no lock calls a commit
// What a commit keeps in the WAL before it is copied into the database: 16 MiB.
constexpr const char* kPragmas =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA wal_autocheckpoint = 4000;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA cache_size = -8192;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;";

std::string random_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    const Now now = read_clocks();
    std::memcpy(bytes.data(), &now, sizeof now);
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

}  // namespace

Journal::Journal(JournalOptions options, Nanos start) : options_(std::move(options)) {
  topics_.emplace_back();
  if (options_.path.empty()) {
    stream_ = random_uuid();
    position_ = static_cast<std::uint64_t>(start / kSecond) << kPositionBitsPerSecond;
    started_after_ = position_;
    return;
  }
  open(start);
}

Journal::~Journal() = default;

void Journal::lock() {
  const std::filesystem::path path(options_.path);
  if (path.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) {
      throw SetupError(describe("mkdir", path.parent_path().native(), error.value()) +
                       ": make it, owned by the daemon's user, or set [journal] path");
    }
    if (is_remote(path.parent_path().native())) {
      throw SetupError(
          "journal " + options_.path +
          ": it lies on a network or FUSE file system, where locks and "
          "the order of writes cannot be relied on: set [journal] path to a local one");
    }
  }
  const std::string file = options_.path + ".lock";
  lock_ = UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_) {
    throw SetupError(describe("open", file, errno) +
                     ": the daemon's user must be able to write there; or set [journal] path");
  }
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw SetupError(describe("flock", file, errno));
    throw SetupError("another inotifier uses the journal " + options_.path +
                     " already: stop it, or set another [journal] path");
  }
}

void Journal::open(Nanos start) {
  lock();
  try {
    const mode_t before = ::umask(0077);  // paths of all files are in it
    try {
      database_ = sqlite::Database(options_.path);
      database_.leave_alone(true);  // it may be none of ours
      database_.run(kLocking);
      check_format();
      database_.run(kPragmas);
    } catch (...) {
      ::umask(before);
      throw;
    }
    ::umask(before);
    database_.run(options_.power_safe ? "PRAGMA synchronous = FULL"
                                      : "PRAGMA synchronous = NORMAL");
    migrate();
    database_.leave_alone(false);
    statements_ = std::make_unique<Statements>(database_);
    load_meta(start);
  } catch (const sqlite::Error& error) {
    if (error.is_full()) {
      throw SetupError(std::string(error.what()) + ": there is no room on its file system");
    }
    (void)may_be_retried(error);
    throw SetupError(error.what());
  }
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

void Journal::load_meta(Nanos start) {
  std::string kept_name;
  {
    sqlite::Statement meta(database_, "SELECT key, value FROM meta");
    while (meta.step()) {
      const std::string key = meta.text(0);
      if (key == "stream") stream_ = meta.text(1);
      if (key == "daemon") kept_name = meta.text(1);
      if (key == "bytes") bytes_ = meta.integer(1);
    }
  }
  if (stream_.empty()) {
    stream_ = random_uuid();
    sqlite::Transaction transaction(database_);
    sqlite::Statement add(database_, "INSERT INTO meta(key, value) VALUES(?,?)");
    add.bind_text(1, "stream").bind_text(2, stream_).run();
    add.bind_text(1, "daemon").bind_text(2, options_.daemon_name).run();
    add.bind_text(1, "bytes").bind(2, 0).run();
    transaction.commit();
  } else if (!options_.daemon_name_given) {
    options_.daemon_name = kept_name;
  }
  sqlite::Statement topics(database_, "SELECT id, name, last, evicted FROM topics ORDER BY id");
  while (topics.step()) {
    const auto number = static_cast<std::uint32_t>(topics.integer(0));
    if (number >= topics_.size()) topics_.resize(number + 1);
    topics_[number] = {topics.text(1), topics.position(2), topics.position(3), false};
    topic_numbers_[topics_[number].name] = number;
    if (topics_[number].last != 0) last_[topics_[number].name] = topics_[number].last;
    position_ = std::max({position_, topics_[number].last, topics_[number].evicted});
  }
  sqlite::Statement newest(database_,
                           "SELECT position, number FROM events ORDER BY position DESC LIMIT 1");
  if (newest.step()) {
    position_ = std::max(position_, newest.position(0));
    number_ = newest.position(1);
    newest.reset();
  }
  position_ =
      std::max(position_, static_cast<std::uint64_t>(start / kSecond) << kPositionBitsPerSecond);
  started_after_ = position_;
}

Journal::Watch Journal::open_watch(std::string_view name, std::string_view previous_name,
                                   std::string_view root, Nanos wall) {
  Watch watch;
  watch.born = wall;
  if (!database_) return watch;
  try {
    sqlite::Statement find(database_, "SELECT id, born FROM watches WHERE name=?");
    const auto look = [&](std::string_view called) {
      find.bind_text(1, called);
      if (!find.step()) return false;
      watch.id = find.integer(0);
      watch.born = find.integer(1);
      watch.known = true;
      find.reset();
      return true;
    };
    if (!look(name) && !previous_name.empty()) look(previous_name);
    if (watch.known) {
      sqlite::Statement set(database_, "UPDATE watches SET name=?, root=?, seen=? WHERE id=?");
      set.bind_text(1, name).bind_blob(2, root).bind(3, wall).bind(4, watch.id);
      try {
        set.run();
      } catch (const sqlite::Error& error) {
        if (!error.is_full()) throw;  // it was only to be noted
      }
    } else {
      sqlite::Statement add(database_,
                            "INSERT INTO watches(name, root, born, seen) VALUES(?,?,?,?)");
      add.bind_text(1, name).bind_blob(2, root).bind(3, wall).bind(4, wall).run();
      watch.id = database_.last_row();
    }
    open_.insert(watch.id);
  } catch (const sqlite::Error& error) {
    if (may_be_retried(error)) {
      throw SetupError(std::string(error.what()) + ": there is no room on its file system");
    }
  }
  return watch;
}

void Journal::load(const Tables& tables) {
  if (!database_) return;
  try {
    if (tables.directories != nullptr) {
      std::vector<WatchTable::Saved> saved;
      sqlite::Statement read(
          database_,
          "SELECT id, parent, name, inode, btime, mounted FROM directories WHERE watch=?");
      read.bind(1, tables.watch);
      while (read.step()) {
        saved.push_back({static_cast<DirId>(read.integer(0)), static_cast<DirId>(read.integer(1)),
                         read.text(2), read.position(3), read.integer(4), read.integer(5) != 0});
      }
      tables.directories->restore(saved);
      tables.directories->keep_changes();
    }
    if (tables.files != nullptr) {
      sqlite::Statement read(database_,
                             "SELECT directory, name, inode, size, mtime, ctime, birth, path_hash, "
                             "tie, state FROM files WHERE watch=?");
      read.bind(1, tables.watch);
      while (read.step()) {
        Row row;
        row.inode = read.position(2);
        row.size = read.integer(3);
        row.mtime = read.integer(4);
        row.ctime = read.integer(5);
        row.birth = static_cast<std::uint32_t>(read.integer(6));
        row.path_hash = read.position(7);
        row.revision = static_cast<std::uint32_t>(read.integer(8));
        row.state = static_cast<Row::State>(read.integer(9));
        tables.files->put(static_cast<DirId>(read.integer(0)), read.bytes(1), row);
      }
      sqlite::Statement departed(database_,
                                 "SELECT path_hash, mtime, tie FROM departed WHERE watch=?");
      departed.bind(1, tables.watch);
      while (departed.step()) {
        tables.files->restore_tombstone(
            departed.position(0),
            {departed.integer(1), static_cast<std::uint32_t>(departed.integer(2))});
      }
      tables.files->keep_changes();
    }
    release_memory();
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
    throw SetupError(error.what());
  }
}

}  // namespace inotifier
