#include "journal/journal.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "inotifier/wire.hpp"
#include "journal/journal_statements.hpp"
#include "state/file_table.hpp"
#include "state/watch_table.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

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
                  std::string_view path, const Stat& stat, std::uint32_t revision) {
  key += type;
  key += '\0';
  key += watch;
  key += '\0';
  key += path;
  key += '\0';
  append_raw(key, stat.inode);
  append_raw(key, stat.size);
  append_raw(key, stat.mtime);
  append_raw(key, revision);
}

}  // namespace

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

void Journal::release_memory() {
  if (database_ && !blocked_) database_.run("PRAGMA shrink_memory");
  malloc_trim(0);
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
                             const Stat& stat, std::uint32_t revision) {
  std::string key;
  put_file_key(key, type, watch, path, stat, revision);
  return hash128_hex(key);
}

/// Positions, ids and wire bytes of the turn. The id of what is said of a file: of the fact alone,
/// so that the same fact has the same id however often it is found. All else: of its place in this
/// stream.
void Journal::encode(const std::vector<WatchReport>& turn, Nanos time) {
  fresh_.clear();
  bodies_.clear();
  time_ = time;
  Envelope envelope;
  envelope.daemon_name = options_.daemon_name;
  envelope.time = time;
  std::string_view last_type;
  std::string_view last_watch;
  std::uint32_t topic = 0;
  for (const WatchReport& said : turn) {
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
      put_file_key(key_, report.type, said.watch, report.path, report.file->stat,
                   report.file->revision);
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

bool Journal::commit(const std::vector<WatchReport>& turn, Nanos time,
                     std::span<const Tables> tables, const Publish& publish) {
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
        .bind(10, row.revision)
        .bind(11, static_cast<int>(row.state));
    if (found == fresh_.end()) {
      sql.put_file.bind_null(12).run();
    } else {
      sql.put_file.bind_blob(12, view_of(found->id)).run();
      said = found;
    }
  });
  tables.files->each_tombstone_change(
      [&](std::uint64_t path_hash, const FileTable::Tombstone* left) {
        if (left == nullptr) {
          sql.drop_departed.bind(1, tables.watch).bind(2, path_hash).run();
        } else {
          sql.put_departed.bind(1, tables.watch)
              .bind(2, path_hash)
              .bind(3, left->mtime)
              .bind(4, left->revision)
              .run();
        }
      });
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
