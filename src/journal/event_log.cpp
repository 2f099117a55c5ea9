#include "journal/event_log.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/hex.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

constexpr int kPositionBitsPerSecond = 20;
// One write of this number costs an fsync.
constexpr std::uint64_t kReserved = std::uint64_t{1} << 20U;
// A turn's time and that of a request differ by less, whatever order they are written in.
constexpr Nanos kSetBack = kSecond;
// One slice of deleting: below 10 ms.
constexpr int kEvictedAtOnce = 1000;

std::string random_uuid() {
  std::string bytes(16, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    const Now now = read_clocks();
    std::memcpy(bytes.data(), &now, sizeof now);
  }
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string text = hex(bytes);
  for (const std::size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
  return text;
}

template <typename Number>
void append_raw(std::string& key, Number number) {
  std::array<char, sizeof number> bytes;
  std::memcpy(bytes.data(), &number, sizeof number);
  key.append(bytes.data(), bytes.size());
}

}  // namespace

/// Prepared once.
struct EventLog::Statements {
  explicit Statements(sqlite::Database& db)
      : add(db,
            "INSERT INTO events(position, topic, number, consumer, time, body) "
            "VALUES(?,?,?,?,?,?)"),
        set_meta(db, "INSERT OR REPLACE INTO meta(value, key) VALUES(?,?)"),
        read(db,
             "SELECT position, number, topic, consumer, time, body FROM events WHERE position>? "
             "ORDER BY position"),
        at(db, "SELECT position, time FROM events WHERE position>=? ORDER BY position LIMIT 1"),
        before(db, "SELECT position FROM events WHERE position<? ORDER BY position DESC LIMIT 1"),
        oldest(db, "SELECT position, topic, length(body) FROM events ORDER BY position LIMIT ?"),
        evict(db, "DELETE FROM events WHERE position<=?"),
        number_upto(db,
                    "SELECT number FROM events WHERE position<=? ORDER BY position DESC LIMIT 1"),
        first(db, "SELECT position, number FROM events ORDER BY position LIMIT 1"),
        newest(db, "SELECT position, number, time FROM events ORDER BY position DESC LIMIT 1") {}

  sqlite::Statement add, set_meta, read, at, before, oldest, evict, number_upto, first, newest;
};

EventLog::EventLog(sqlite::Database* database, std::string daemon_name, bool daemon_name_given,
                   Nanos start)
    : database_(database),
      topics_(database),
      marks_(database),
      daemon_name_(std::move(daemon_name)) {
  at_.position = static_cast<std::uint64_t>(std::max<Nanos>(0, start) / kSecond)
                 << kPositionBitsPerSecond;
  if (database_ == nullptr) {
    stream_ = random_uuid();
  } else {
    statements_ = std::make_unique<Statements>(*database_);
    load_meta(daemon_name_given);
    for (std::uint32_t topic = 1; topic < topics_.size(); ++topic) {
      at_.position = std::max({at_.position, topics_[topic].last, topics_[topic].evicted});
    }
    sqlite::Statement& newest = statements_->newest;
    if (newest.step()) {
      at_.position = std::max(at_.position, newest.position(0));
      at_.number = newest.position(1);
      last_time_ = newest.integer(2);
      newest.reset();
    }
    at_.position = std::max(at_.position, reserved_);
  }
  started_after_ = at_.position;
}

EventLog::~EventLog() = default;

void EventLog::load_meta(bool daemon_name_given) {
  std::string kept_name;
  sqlite::Statement read(*database_, "SELECT key, value FROM meta");
  while (read.step()) {
    const std::string key = read.text(0);
    if (key == "stream") stream_ = read.text(1);
    if (key == "daemon") kept_name = read.text(1);
    if (key == "bytes") at_.bytes = read.integer(1);
    if (key == "reserved") reserved_ = read.position(1);
  }
  if (!stream_.empty()) {
    if (!daemon_name_given) daemon_name_ = kept_name;
    return;
  }
  stream_ = random_uuid();
  sqlite::Transaction transaction(*database_);
  sqlite::Statement& set = statements_->set_meta;
  set.bind_text(1, stream_).bind_text(2, "stream").run();
  set.bind_text(1, daemon_name_).bind_text(2, "daemon").run();
  set.bind(1, 0).bind_text(2, "bytes").run();
  transaction.commit();
}

// --- a turn

std::string EventLog::file_id(std::string_view type, std::string_view watch, std::string_view path,
                              const Stat& stat, std::uint32_t revision) {
  std::string key;
  for (const std::string_view part : {type, watch, path}) {
    key += part;
    key += '\0';
  }
  append_raw(key, stat.inode);
  append_raw(key, stat.size);
  append_raw(key, stat.mtime);
  append_raw(key, revision);
  if (stat.btime != 0) append_raw(key, stat.btime);
  return hash128(key);
}

/// The id of what is published of a file is one of the fact alone, so that the same fact has the
/// same id however often it is found; all else has one of its place in this stream.
void EventLog::encode(const std::vector<WatchReport>& turn, Nanos time) {
  turn_.clear();
  announced_.clear();
  bodies_.clear();
  time_ = time;
  Envelope envelope;
  envelope.daemon_name = daemon_name_;
  envelope.time = time;
  std::string_view last_type;
  std::string_view last_watch;
  std::uint32_t topic = 0;
  std::string text;
  std::string body;
  for (const auto& [watch, root, report] : turn) {
    if (report.type != last_type || watch != last_watch) {
      text = report.type;
      text += '/';
      text += watch;
      text += '/';
      topic = topics_.number_of(text);
      last_type = report.type;
      last_watch = watch;
    }
    const std::uint64_t position = ++at_.position;
    std::string id;
    if (report.file) {
      id = file_id(report.type, watch, report.path, report.file->stat, report.file->revision);
    } else {
      text = stream_;
      append_raw(text, position);
      id = hash128(text);
    }
    const std::string id_text = hex(id);
    envelope.watch = watch;
    envelope.root = root;
    envelope.id = id_text;
    envelope.position = position;
    envelope.previous = topics_[topic].last;
    encode_report(report, envelope, body);
    topics_.set_last(topic, position);
    turn_.push_back({position, topic, bodies_.size(), body.size()});
    bodies_ += body;
    if (report.type == "file.completed") {
      const std::string name = report.path.substr(report.path.rfind('/') + 1);
      announced_.push_back({watch, report.dir, name, std::move(id)});
    }
  }
}

void EventLog::write() {
  std::uint64_t number = at_.number;
  for (const Encoded& event : turn_) {
    statements_->add.bind(1, event.position)
        .bind(2, event.topic)
        .bind(3, ++number)
        .bind_null(4)
        .bind(5, time_)
        .bind_blob(6, body_of(event))
        .run();
  }
  topics_.write();
  if (turn_.empty()) return;
  if (time_ < last_time_ - kSetBack) marks_.add_set_back(turn_.front().position - 1);
  const auto bytes = at_.bytes + static_cast<std::int64_t>(bodies_.size());
  statements_->set_meta.bind(1, bytes).bind_text(2, "bytes").run();
}

void EventLog::committed() {
  at_.number += turn_.size();
  at_.bytes += static_cast<std::int64_t>(bodies_.size());
  topics_.committed();
  if (!turn_.empty()) last_time_ = time_;
}

void EventLog::publish(const Publish& publish) {
  for (const Encoded& event : turn_) {
    topics_.set_published(event.topic, event.position);
    publish(topics_[event.topic].name, body_of(event));
  }
  turn_.clear();
  announced_.clear();
}

// --- what is in it

std::map<std::string, std::uint64_t, std::less<>> EventLog::published() const {
  std::map<std::string, std::uint64_t, std::less<>> last;
  for (std::uint32_t topic = 1; topic < topics_.size(); ++topic) {
    if (topics_[topic].published != 0) last[topics_[topic].name] = topics_[topic].published;
  }
  return last;
}

void EventLog::read(std::uint64_t after, const std::function<bool(const Entry&)>& each) {
  if (database_ == nullptr) return;
  auto& sql = statements_->read;
  sql.reset();  // `each` may have thrown the last time
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

std::uint64_t EventLog::first_position() {
  if (database_ == nullptr || !statements_->first.step()) return 0;
  const std::uint64_t position = statements_->first.position(0);
  statements_->first.reset();
  return position;
}

std::uint64_t EventLog::position_before(Nanos wall) {
  std::uint64_t low = first_position();
  if (low == 0) return 0;
  const std::uint64_t oldest = low--;
  std::vector<std::uint64_t> ends = marks_.set_backs();
  ends.push_back(at_.position);
  std::uint64_t first = 0;
  for (const std::uint64_t end : ends) {
    if (end <= low) continue;
    first = first_from(wall, low, end);
    if (first != 0) break;
    low = end;
  }
  if (first == oldest) return 0;
  sqlite::Statement& before = statements_->before;
  before.bind(1, first == 0 ? at_.position + 1 : first);
  if (!before.step()) return 0;
  const std::uint64_t position = before.position(0);
  before.reset();
  return position;
}

/// Between two places where the clock was set back times rise with positions: halving needs no
/// index.
std::uint64_t EventLog::first_from(Nanos wall, std::uint64_t low, std::uint64_t high) {
  const std::uint64_t end = high;
  std::uint64_t first = 0;
  sqlite::Statement& at = statements_->at;
  while (low < high) {
    const std::uint64_t middle = low + (high - low + 1) / 2;  // low < middle <= high
    at.bind(1, middle);
    const bool is_there = at.step();
    const std::uint64_t position = is_there ? at.position(0) : end + 1;
    const Nanos time = is_there ? at.integer(1) : 0;
    if (is_there) at.reset();
    if (position <= end && time < wall) {
      low = position;
    } else {
      if (position <= end) first = position;
      high = middle - 1;
    }
  }
  return first;
}

std::uint64_t EventLog::number_at(std::uint64_t position) {
  if (database_ == nullptr) return 0;
  auto& upto = statements_->number_upto;
  upto.bind(1, position);
  if (!upto.step()) return first_number() - 1;
  const std::uint64_t number = upto.position(0);
  upto.reset();
  return number;
}

std::uint64_t EventLog::first_number() {
  auto& first = statements_->first;
  if (!first.step()) return at_.number + 1;
  const std::uint64_t number = first.position(1);
  first.reset();
  return number;
}

// --- for one consumer alone

void EventLog::append_for(std::uint32_t consumer, const Copy& copy, Nanos wall) {
  Event event = decode(copy.body);
  event.sequence = position_text(++at_.position);
  event.prevsequence.clear();
  const std::string body = inotifier::encode(event);
  at_.bytes += static_cast<std::int64_t>(body.size());
  topics_.write();
  statements_->add.bind(1, at_.position)
      .bind(2, copy.topic)
      .bind(3, ++at_.number)
      .bind(4, consumer)
      .bind(5, wall)
      .bind_blob(6, body)
      .run();
  statements_->set_meta.bind(1, at_.bytes).bind_text(2, "bytes").run();
}

// --- keeping

bool EventLog::evict(std::uint64_t until, std::int64_t enough) {
  std::map<std::uint32_t, std::uint64_t> evicted;  // topic -> position
  std::uint64_t last = 0;
  std::int64_t freed = 0;
  auto& oldest = statements_->oldest;
  oldest.bind(1, kEvictedAtOnce);
  while (oldest.step()) {
    if (oldest.position(0) > until || freed >= enough) {
      oldest.reset();
      break;
    }
    last = oldest.position(0);
    evicted[static_cast<std::uint32_t>(oldest.integer(1))] = last;
    freed += oldest.integer(2);
  }
  if (last == 0) return false;
  sqlite::Transaction transaction(*database_);
  statements_->evict.bind(1, last).run();
  marks_.forget(last);
  for (const auto& [topic, position] : evicted) topics_.write_evicted(topic, position);
  statements_->set_meta.bind(1, at_.bytes - freed).bind_text(2, "bytes").run();
  transaction.commit();
  for (const auto& [topic, position] : evicted) topics_.set_evicted(topic, position);
  at_.bytes -= freed;
  return true;
}

void EventLog::mark_age(Nanos ran) { marks_.add(at_.position, ran); }

void EventLog::reserve_positions() {
  if (database_ == nullptr || at_.position + kReserved / 2 < reserved_) return;
  const std::uint64_t reserved = at_.position + kReserved;
  const sqlite::Synchronous synchronous(*database_, true);
  statements_->set_meta.bind(1, reserved).bind_text(2, "reserved").run();
  reserved_ = reserved;
}

void EventLog::release_positions() {
  statements_->set_meta.bind(1, at_.position).bind_text(2, "reserved").run();
}

}  // namespace inotifier
