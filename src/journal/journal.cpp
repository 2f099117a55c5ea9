#include "journal/journal.hpp"

#include <fcntl.h>
#include <malloc.h>
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
#include "base/hash.hpp"
#include "base/log.hpp"
#include "inotifier/wire.hpp"
#include "journal/file_table.hpp"
#include "journal/schema.hpp"
#include "publish/codec.hpp"
#include "source/real_fs.hpp"
#include "source/watch_table.hpp"

namespace inotifier {
namespace {

constexpr int kPositionBitsPerSecond = 20;
// One slice of deleting: below 10 ms.
constexpr int kEvictedAtOnce = 1000;
constexpr Nanos kTidyInterval = 10 * kSecond;
constexpr Nanos kSeenInterval = 3600 * kSecond;
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

template <typename Number>
void append_raw(std::string& key, Number number) {
  std::array<char, sizeof number> bytes;
  std::memcpy(bytes.data(), &number, sizeof number);
  key.append(bytes.data(), bytes.size());
}

std::string_view view_of(const std::array<unsigned char, 16>& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

std::array<unsigned char, 16> id_bytes(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::array<unsigned char, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(digit(hex[2 * i]) * 16 + digit(hex[2 * i + 1]));
  }
  return bytes;
}

void put_file_key(std::string& key, std::string_view type, std::string_view watch,
                  std::string_view path, const Stat& stat, std::uint32_t tie) {
  key += type;
  key += '\0';
  key += watch;
  key += '\0';
  key += path;
  key += '\0';
  append_raw(key, stat.inode);
  append_raw(key, stat.size);
  append_raw(key, stat.mtime);
  append_raw(key, tie);
}

}  // namespace

/// Prepared once.
struct Journal::Statements {
  explicit Statements(sqlite::Database& db)
      : begin(db, "BEGIN IMMEDIATE"),
        commit(db, "COMMIT"),
        add_event(db,
                  "INSERT INTO events(position, topic, number, consumer, time, body) "
                  "VALUES(?,?,?,?,?,?)"),
        add_topic(db, "INSERT INTO topics(id, name) VALUES(?,?)"),
        set_topic(db, "UPDATE topics SET last=?, evicted=? WHERE id=?"),
        set_meta(db, "UPDATE meta SET value=? WHERE key=?"),
        put_file(db,
                 "INSERT INTO files(watch, directory, name, inode, size, mtime, ctime, birth, "
                 "path_hash, tie, state, event) VALUES(?,?,?,?,?,?,?,?,?,?,?,?) "
                 "ON CONFLICT(watch, directory, name) DO UPDATE SET inode=excluded.inode, "
                 "size=excluded.size, mtime=excluded.mtime, ctime=excluded.ctime, "
                 "birth=excluded.birth, path_hash=excluded.path_hash, tie=excluded.tie, "
                 "state=excluded.state, event=coalesce(excluded.event, event)"),
        drop_file(db, "DELETE FROM files WHERE watch=? AND directory=? AND name=?"),
        put_departed(
            db, "INSERT OR REPLACE INTO departed(watch, path_hash, mtime, tie) VALUES(?,?,?,?)"),
        drop_departed(db, "DELETE FROM departed WHERE watch=? AND path_hash=?"),
        put_directory(db,
                      "INSERT OR REPLACE INTO directories(watch, id, parent, name, inode, btime, "
                      "mounted) VALUES(?,?,?,?,?,?,?)"),
        drop_directory(db, "DELETE FROM directories WHERE watch=? AND id=?"),
        read(db,
             "SELECT position, number, topic, consumer, time, body FROM events WHERE position>? "
             "ORDER BY position"),
        oldest(db,
               "SELECT position, topic, length(body), time FROM events ORDER BY position LIMIT ?"),
        evict(db, "DELETE FROM events WHERE position<=?"),
        held(db, "SELECT min(position) FROM consumers WHERE seen>?"),
        number_upto(db,
                    "SELECT number FROM events WHERE position<=? ORDER BY position DESC LIMIT 1"),
        first_number(db, "SELECT number FROM events ORDER BY position LIMIT 1") {}

  sqlite::Statement begin, commit, add_event, add_topic, set_topic, set_meta, put_file, drop_file,
      put_departed, drop_departed, put_directory, drop_directory, read, oldest, evict, held,
      number_upto, first_number;
};

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

// --- opening

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

bool Journal::may_be_retried(const sqlite::Error& error) {
  if (error.is_full()) return true;
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
        row.tie = static_cast<std::uint32_t>(read.integer(8));
        row.state = static_cast<Row::State>(read.integer(9));
        tables.files->put(static_cast<DirId>(read.integer(0)), read.bytes(1), row);
      }
      sqlite::Statement departed(database_,
                                 "SELECT path_hash, mtime, tie FROM departed WHERE watch=?");
      departed.bind(1, tables.watch);
      while (departed.step()) {
        tables.files->restore_left(
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

// --- a turn

std::uint32_t Journal::topic_number(std::string_view name) {
  const auto known = topic_numbers_.find(name);
  if (known != topic_numbers_.end()) return known->second;
  const auto number = static_cast<std::uint32_t>(topics_.size());
  topics_.push_back({std::string(name), 0, 0, false});
  topic_numbers_[topics_.back().name] = number;
  // Should the caller's transaction fail, the next turn writes it.
  topics_.back().changed = true;
  if (database_) {
    statements_->add_topic.bind(1, number).bind_text(2, topics_.back().name).run();
  }
  return number;
}

std::string Journal::file_id(std::string_view type, std::string_view watch, std::string_view path,
                             const Stat& stat, std::uint32_t tie) {
  std::string key;
  put_file_key(key, type, watch, path, stat, tie);
  return hash128_hex(key);
}

/// Positions, ids and wire bytes of the turn. The id of what is said of a file: of the fact alone,
/// so that the same fact has the same id however often it is found. All else: of its place in this
/// stream.
void Journal::encode(const std::vector<Said>& turn, Nanos time) {
  fresh_.clear();
  bodies_.clear();
  time_ = time;
  Envelope envelope;
  envelope.daemon_name = options_.daemon_name;
  envelope.time = time;
  std::string_view last_type;
  std::string_view last_watch;
  std::uint32_t topic = 0;
  for (const Said& said : turn) {
    const Report& report = said.report;
    if (report.type != last_type || said.watch != last_watch) {
      topic_ = report.type;
      topic_ += '/';
      topic_ += said.watch;
      topic_ += '/';
      const auto known = topic_numbers_.find(topic_);
      if (known != topic_numbers_.end()) {
        topic = known->second;
      } else {
        // Its row is written with the turn.
        topic = static_cast<std::uint32_t>(topics_.size());
        topics_.push_back({topic_, 0, 0, true});
        topic_numbers_[topic_] = topic;
      }
      last_type = report.type;
      last_watch = said.watch;
    }
    Fresh& fresh = fresh_.emplace_back();
    fresh.position = ++position_;
    fresh.topic = topic;
    fresh.watch = said.watch;
    key_.clear();
    if (report.file) {
      put_file_key(key_, report.type, said.watch, report.path, report.file->stat, report.file->tie);
    } else {
      key_ += stream_;
      append_raw(key_, fresh.position);
    }
    id_ = hash128_hex(key_);
    if (report.type == "file.completed") {
      fresh.path_hash = hash64(report.path);
      fresh.id = id_bytes(id_);
    }
    envelope.watch = said.watch;
    envelope.root = said.root;
    envelope.id = id_;
    envelope.position = fresh.position;
    envelope.previous = topics_[topic].last;
    encode_report(report, envelope, body_);
    topics_[topic].last = fresh.position;
    topics_[topic].changed = true;
    fresh.begin = bodies_.size();
    fresh.size = body_.size();
    bodies_ += body_;
  }
}

bool Journal::commit(const std::vector<Said>& turn, Nanos time, std::span<const Tables> tables,
                     const Publish& publish) {
  encode(turn, time);
  if (database_ && !write(tables)) return false;
  publish_fresh(publish);
  return true;
}

bool Journal::retry(std::span<const Tables> tables, const Publish& publish) {
  if (!blocked_) return true;
  if (!write(tables)) return false;
  log::info("journal {}: it can be written again", options_.path);
  publish_fresh(publish);
  return true;
}

void Journal::publish_fresh(const Publish& publish) {
  for (const Fresh& fresh : fresh_) {
    last_[topics_[fresh.topic].name] = fresh.position;
    publish(topics_[fresh.topic].name, std::string_view(bodies_).substr(fresh.begin, fresh.size));
  }
  fresh_.clear();
}

bool Journal::write(std::span<const Tables> tables) {
  Statements& sql = *statements_;
  try {
    sqlite::Transaction transaction(database_);
    std::uint64_t number = number_;
    for (const Fresh& fresh : fresh_) {
      sql.add_event.bind(1, fresh.position)
          .bind(2, fresh.topic)
          .bind(3, ++number)
          .bind_null(4)
          .bind(5, time_)
          .bind_blob(6, std::string_view(bodies_).substr(fresh.begin, fresh.size))
          .run();
    }
    for (std::uint32_t topic = 1; topic < topics_.size(); ++topic) {
      if (!topics_[topic].changed) continue;
      sql.set_topic.bind(1, topics_[topic].last)
          .bind(2, topics_[topic].evicted)
          .bind(3, topic)
          .run();
      if (database_.changes() == 0) {
        sql.add_topic.bind(1, topic).bind_text(2, topics_[topic].name).run();
        sql.set_topic.run();
      }
    }
    const auto bytes = bytes_ + static_cast<std::int64_t>(bodies_.size());
    if (!fresh_.empty()) sql.set_meta.bind(1, bytes).bind_text(2, "bytes").run();
    for (const Tables& changed : tables) write_tables(changed);
    transaction.commit();
    number_ = number;
    bytes_ = bytes;
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);
    if (!std::exchange(blocked_, true)) {
      log::error(
          "{}: there is no room for the journal. Nothing is announced until there is: free "
          "some, or set a smaller [journal] retain_size",
          error.what());
    }
    return false;
  }
  blocked_ = false;
  for (Topic& topic : topics_) topic.changed = false;
  for (const Tables& changed : tables) {
    if (changed.files != nullptr) changed.files->forget_changes();
    if (changed.directories != nullptr) changed.directories->forget_changes();
  }
  if (bytes_ > options_.retain_size) next_tidy_ = 0;
  return true;
}

void Journal::write_tables(const Tables& tables) {
  Statements& sql = *statements_;
  if (tables.directories != nullptr) {
    tables.directories->each_change([&](DirId dir, const WatchTable::Directory* now) {
      if (now == nullptr) {
        sql.drop_directory.bind(1, tables.watch).bind(2, dir).run();
        return;
      }
      sql.put_directory.bind(1, tables.watch)
          .bind(2, dir)
          .bind(3, now->parent)
          .bind_blob(4, now->name)
          .bind(5, now->inode)
          .bind(6, now->btime)
          .bind(7, now->mounted ? 1 : 0)
          .run();
    });
  }
  if (tables.files == nullptr) return;
  tables.files->each_gone([&](DirId dir, std::string_view name) {
    sql.drop_file.bind(1, tables.watch).bind(2, dir).bind_blob(3, name).run();
  });
  // Rows were changed in the order in which the events were said.
  auto said = fresh_.begin();
  tables.files->each_change([&](DirId dir, std::string_view name, const Row& row) {
    auto found = fresh_.end();
    if (row.state == Row::State::kAnnounced) {
      const auto is_its = [&](const Fresh& fresh) {
        return fresh.path_hash == row.path_hash && fresh.watch == tables.name;
      };
      found = std::find_if(said, fresh_.end(), is_its);
      if (found == fresh_.end()) {
        found = std::find_if(fresh_.begin(), said, is_its);
        if (found == said) found = fresh_.end();
      }
    }
    sql.put_file.bind(1, tables.watch)
        .bind(2, dir)
        .bind_blob(3, name)
        .bind(4, row.inode)
        .bind(5, row.size)
        .bind(6, row.mtime)
        .bind(7, row.ctime)
        .bind(8, row.birth)
        .bind(9, row.path_hash)
        .bind(10, row.tie)
        .bind(11, static_cast<int>(row.state));
    if (found == fresh_.end()) {
      sql.put_file.bind_null(12).run();
    } else {
      sql.put_file.bind_blob(12, view_of(found->id)).run();
      said = found;
    }
  });
  tables.files->each_left_change([&](std::uint64_t path_hash, const FileTable::Left* left) {
    if (left == nullptr) {
      sql.drop_departed.bind(1, tables.watch).bind(2, path_hash).run();
    } else {
      sql.put_departed.bind(1, tables.watch)
          .bind(2, path_hash)
          .bind(3, left->mtime)
          .bind(4, left->tie)
          .run();
    }
  });
}

// --- keeping

/// What consumers that are alive still want: entries after this position. The end if there are
/// none.
std::uint64_t Journal::held(Nanos wall) {
  auto& sql = statements_->held;
  sql.bind(1, wall - options_.consumer_expiry);
  std::uint64_t position = position_;
  if (sql.step()) {
    if (!sql.is_null(0)) position = std::min(position, sql.position(0));
    sql.reset();
  }
  return position;
}

/// Gives up some of the oldest entries, up to `until`. False if there are none.
bool Journal::evict(std::uint64_t until) {
  auto& sql = statements_->oldest;
  std::uint64_t last = 0;
  std::int64_t freed = 0;
  sql.bind(1, kEvictedAtOnce);
  while (sql.step()) {
    if (sql.position(0) > until) {
      sql.reset();
      break;
    }
    last = sql.position(0);
    Topic& topic = topics_[static_cast<std::uint32_t>(sql.integer(1))];
    topic.evicted = std::max(topic.evicted, last);
    topic.changed = true;
    freed += sql.integer(2);
  }
  if (last == 0) return false;
  sqlite::Transaction transaction(database_);
  statements_->evict.bind(1, last).run();
  for (std::uint32_t topic = 1; topic < topics_.size(); ++topic) {
    if (!topics_[topic].changed) continue;
    statements_->set_topic.bind(1, topics_[topic].last)
        .bind(2, topics_[topic].evicted)
        .bind(3, topic)
        .run();
  }
  statements_->set_meta.bind(1, bytes_ - freed).bind_text(2, "bytes").run();
  transaction.commit();
  bytes_ -= freed;
  return true;
}

void Journal::release_memory() {
  if (database_ && !blocked_) database_.run("PRAGMA shrink_memory");
  malloc_trim(0);
}

void Journal::close_watch(std::int64_t watch, Nanos wall) {
  open_.erase(watch);
  if (!database_) return;
  try {
    sqlite::Statement seen(database_, "UPDATE watches SET seen=? WHERE id=?");
    seen.bind(1, wall).bind(2, watch).run();
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);  // it goes a little earlier then
  }
}

/// Some rows of a watch that has not been configured for `retain`. False if there is none.
bool Journal::forget_watch(Nanos wall) {
  sqlite::Statement old(database_, "SELECT id, name FROM watches WHERE seen<?");
  old.bind(1, wall - options_.retain);
  std::int64_t watch = 0;
  std::string name;
  while (old.step()) {
    if (is_open(old.integer(0))) continue;
    watch = old.integer(0);
    name = old.text(1);
    old.reset();
    break;
  }
  if (watch == 0) return false;
  sqlite::Transaction transaction(database_);
  sqlite::Statement files(database_,
                          "DELETE FROM files WHERE watch=?1 AND (directory, name) <= (SELECT "
                          "directory, name FROM (SELECT directory, name FROM files WHERE watch=?1 "
                          "ORDER BY directory, name LIMIT 1000) ORDER BY directory DESC, name DESC "
                          "LIMIT 1)");
  files.bind(1, watch).run();
  if (database_.changes() == 0) {
    for (const char* sql :
         {"DELETE FROM directories WHERE watch=?", "DELETE FROM departed WHERE watch=?",
          "DELETE FROM watches WHERE id=?"}) {
      sqlite::Statement(database_, sql).bind(1, watch).run();
    }
    log::info("watch {}: it has not been configured for long; what was known of it is forgotten",
              name);
  }
  transaction.commit();
  return true;
}

bool Journal::tidy(const Now& now) {
  if (!database_ || blocked_ || now.mono < next_tidy_) return false;
  try {
    if (bytes_ > options_.retain_size && evict(position_)) return true;
    const std::uint64_t old = position_before(now.wall - options_.retain);
    const std::uint64_t until = std::min(old, held(now.wall));
    if (until > 0 && evict(until)) return true;
    if (now.mono >= next_seen_) {
      next_seen_ = now.mono + kSeenInterval;
      sqlite::Statement seen(database_, "UPDATE watches SET seen=? WHERE id=?");
      for (const std::int64_t watch : open_) seen.bind(1, now.wall).bind(2, watch).run();
    }
    if (forget_watch(now.wall)) return true;
  } catch (const sqlite::Error& error) {
    (void)may_be_retried(error);  // deleting wants room, too: the next time
  }
  next_tidy_ = now.mono + kTidyInterval;
  return false;
}

/// A log that is full is nothing unusual, nor is a consumer that is a moment behind: it counts how
/// much of it nobody may lose yet.
bool Journal::is_crowded(const Now& now) {
  if (!database_ || bytes_ <= options_.retain_size / 10 * 8) return false;
  const std::uint64_t held_after = held(now.wall);
  if (held_after >= position_) return false;
  const std::uint64_t oldest = first_number();
  const auto kept = static_cast<double>(number_ + 1 - oldest);
  const auto wanted = static_cast<double>(number_ - std::max(number_at(held_after), oldest - 1));
  return static_cast<double>(bytes_) * (wanted / kept) >
         static_cast<double>(options_.retain_size) * 0.8;
}

// --- what is in it

void Journal::read(std::uint64_t after, const std::function<bool(const Entry&)>& each) {
  if (!database_) return;
  auto& sql = statements_->read;
  sql.bind(1, after);
  Entry entry;
  while (sql.step()) {
    entry.position = sql.position(0);
    entry.number = sql.position(1);
    entry.topic = static_cast<std::uint32_t>(sql.integer(2));
    entry.consumer = static_cast<std::uint32_t>(sql.integer(3));
    entry.time = sql.integer(4);
    entry.body = sql.bytes(5);
    if (!each(entry)) {
      sql.reset();
      return;
    }
  }
}

std::uint64_t Journal::first_position() {
  if (!database_) return 0;
  return static_cast<std::uint64_t>(
      database_.number("SELECT coalesce(min(position), 0) FROM events"));
}

std::uint64_t Journal::position_before(Nanos wall) {
  if (!database_) return 0;
  // Times rise with positions, but for a clock that was set back: halving needs no index.
  auto low = first_position();  // 0: nothing
  if (low == 0) return 0;
  sqlite::Statement at(
      database_, "SELECT position, time FROM events WHERE position>=? ORDER BY position LIMIT 1");
  std::uint64_t before = 0;
  std::uint64_t high = position_ + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    at.bind(1, middle);
    if (!at.step()) {
      high = middle;
      continue;
    }
    const std::uint64_t position = at.position(0);
    const Nanos time = at.integer(1);
    at.reset();
    if (time < wall) {
      before = position;
      low = position + 1;
    } else {
      high = middle;
    }
  }
  return before;
}

std::uint64_t Journal::number_at(std::uint64_t position) {
  if (!database_) return 0;
  auto& upto = statements_->number_upto;
  upto.bind(1, position);
  if (!upto.step()) return first_number() - 1;
  const std::uint64_t number = upto.position(0);
  upto.reset();
  return number;
}

/// Number of the oldest entry kept; that of the next one if there is none.
std::uint64_t Journal::first_number() {
  auto& first = statements_->first_number;
  if (!first.step()) return number_ + 1;
  const std::uint64_t number = first.position(0);
  first.reset();
  return number;
}

void Journal::append_for(std::uint32_t consumer, std::span<const Copy> copies, Nanos wall) {
  for (const Copy& copy : copies) {
    Event event = decode(copy.body);
    event.sequence = position_text(++position_);
    event.prevsequence.clear();
    const std::string body = inotifier::encode(event);
    statements_->add_event.bind(1, position_)
        .bind(2, copy.topic)
        .bind(3, ++number_)
        .bind(4, consumer)
        .bind(5, wall)
        .bind_blob(6, body)
        .run();
    bytes_ += static_cast<std::int64_t>(body.size());
  }
  statements_->set_meta.bind(1, bytes_).bind_text(2, "bytes").run();
}

void Journal::back_to(const Place& place) {
  position_ = place.position;
  number_ = place.number;
  bytes_ = place.bytes;
}

}  // namespace inotifier
