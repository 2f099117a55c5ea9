// How long a journal keeps what: entries by age and size, and what is known of watches that are not
// configured any more.
#include <algorithm>
#include <string>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "journal/journal_statements.hpp"

namespace inotifier {
namespace {

// One slice of deleting: below 10 ms.
constexpr int kEvictedAtOnce = 1000;
constexpr Nanos kTidyInterval = 10 * kSecond;
constexpr Nanos kSeenInterval = 3600 * kSecond;

}  // namespace

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

}  // namespace inotifier
