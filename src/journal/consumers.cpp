#include "journal/consumers.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "inotifier/wire.hpp"
#include "journal/sqlite.hpp"

namespace inotifier {
namespace {

// How often the last use is written, at most.
constexpr Nanos kUsedInterval = 600 * kSecond;
// A consumer counts as in use for half its lease, which clients renew at a third, and no longer
// than this after its last request.
constexpr Nanos kLongestInUse = 30 * kSecond;
// Clients that outlived the daemon are back within this time.
constexpr Nanos kBackAfterStart = 5 * kSecond;
constexpr std::size_t kForgottenAtOnce = 500;

std::string pack(const std::vector<std::string>& names) {
  return encode_value(Value(Value::Array(names.begin(), names.end())));
}

std::vector<std::string> unpack(std::string_view bytes) {
  const Value value = decode_value(bytes);
  std::vector<std::string> names;
  if (const Value::Array* array = value.array()) {
    for (const Value& name : *array) {
      if (name.text() != nullptr) names.push_back(*name.text());
    }
  }
  return names;
}

}  // namespace

// --- the tables

/// Prepared once.
struct Consumers::Statements {
  explicit Statements(sqlite::Database& db)
      : add(db,
            "INSERT INTO consumers(name, position, types, watches, created, seen, owner, lease, "
            "snapshot, used, good, unsure) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"),
        set(db,
            "UPDATE consumers SET position=?, types=?, watches=?, seen=?, owner=?, lease=?, "
            "snapshot=?, used=?, good=?, unsure=? WHERE id=?"),
        drop(db, "DELETE FROM consumers WHERE id=?"),
        put_failure(db,
                    "INSERT OR REPLACE INTO failures(consumer, position, time, tries, reason, "
                    "topic, body) VALUES(?,?,?,?,?,?,?)"),
        drop_failure(db, "DELETE FROM failures WHERE consumer=? AND position=?"),
        drop_failures(db, "DELETE FROM failures WHERE consumer=?"),
        failures(db,
                 "SELECT position, time, tries, reason, body FROM failures "
                 "WHERE consumer=? AND position>? ORDER BY position"),
        failure(db, "SELECT topic, body FROM failures WHERE consumer=? AND position=?") {}

  sqlite::Statement add, set, drop, put_failure, drop_failure, drop_failures, failures, failure;
};

Consumers::Consumers(Journal& journal, Nanos mono) : journal_(journal) {
  sqlite::Database* database = journal_.database();
  if (database == nullptr) return;
  try {
    statements_ = std::make_unique<Statements>(*database);
    load(mono);
    journal_.set_wanted_after([this](const Now& now) { return wanted_after(now); });
  } catch (const sqlite::Error& error) {
    (void)journal_.may_be_retried(error);
    throw;
  }
}

Consumers::~Consumers() { journal_.set_wanted_after({}); }

std::uint64_t Consumers::wanted_after(const Now& now) const {
  std::uint64_t position = journal_.events().last_position();
  for (const auto& [name, consumer] : consumers_) {
    const bool in_use = consumer->polled || now.mono < consumer->in_use;
    if (in_use) position = std::min(position, consumer->kept.position);
  }
  return position;
}

void Consumers::note_used(StoredConsumer& consumer, const Now& now) {
  const Nanos ran = journal_.ran(now);
  const Nanos interval = std::min(kUsedInterval, journal_.options().consumer_expiry / 4);
  if (!journal_.blocked() && ran - consumer.used_written >= interval) change(consumer);
  consumer.kept.seen = now.wall;
  consumer.kept.used = ran;
  consumer.in_use = now.mono + std::clamp(consumer.kept.lease / 2, kBackAfterStart, kLongestInUse);
}

void Consumers::load(Nanos mono) {
  std::map<std::uint32_t, StoredConsumer*> by_id;
  sqlite::Statement read(*journal_.database(),
                         "SELECT id, name, position, types, watches, created, seen, owner, lease, "
                         "snapshot, used, good, unsure FROM consumers");
  while (read.step()) {
    auto consumer = std::make_unique<StoredConsumer>();
    consumer->id = static_cast<std::uint32_t>(read.integer(0));
    consumer->name = read.text(1);
    consumer->kept.position = read.position(2);
    consumer->filter = TopicFilter({unpack(read.bytes(3)), unpack(read.bytes(4))});
    consumer->kept.created = read.integer(5);
    consumer->kept.seen = read.integer(6);
    consumer->kept.owner = read.text(7);
    consumer->kept.lease = read.integer(8);
    if (!read.is_null(9)) consumer->kept.snapshot = read.text(9);
    consumer->kept.used = consumer->used_written = read.integer(10);
    consumer->expires = mono + consumer->kept.lease;
    consumer->in_use = mono + kBackAfterStart;
    consumer->delivered = consumer->kept.position;
    consumer->kept.good = read.position(11);
    consumer->kept.unsure = read.position(12);
    consumer->trusted = consumer->kept.position < consumer->kept.unsure
                            ? consumer->kept.good
                            : journal_.events().started_after();
    by_id[consumer->id] = consumer.get();
    consumers_[consumer->name] = std::move(consumer);
  }
  sqlite::Statement failed(*journal_.database(), "SELECT consumer, position FROM failures");
  while (failed.step()) {
    const auto owner = by_id.find(static_cast<std::uint32_t>(failed.integer(0)));
    if (owner != by_id.end()) owner->second->failed.insert(failed.position(1));
  }
}

StoredConsumer* Consumers::find(std::string_view name) {
  const auto found = consumers_.find(name);
  return found == consumers_.end() ? nullptr : found->second.get();
}

void Consumers::each(const std::function<void(StoredConsumer&)>& visit) {
  for (const auto& [name, consumer] : consumers_) visit(*consumer);
}

std::uint64_t Consumers::behind(StoredConsumer& consumer, std::uint64_t position) {
  if (consumer.numbered != position || position == 0) {
    consumer.number = journal_.events().number_at(position);
    consumer.numbered = position;
  }
  return journal_.events().count() - std::min(consumer.number, journal_.events().count());
}

StoredConsumer& Consumers::add(std::string_view name) {
  auto& consumer = consumers_[std::string(name)];
  consumer = std::make_unique<StoredConsumer>();
  consumer->name = name;
  change(*consumer, true);
  return *consumer;
}

void Consumers::change(StoredConsumer& consumer, bool lasting) {
  lasting_ = lasting_ || lasting;
  if (consumer.before) return;
  consumer.before = std::make_unique<StoredConsumer::Before>(
      StoredConsumer::Before{consumer.kept, consumer.filter.filter(), consumer.delivered,
                             consumer.trusted, consumer.clear});
  changed_.push_back(&consumer);
}

void Consumers::doubt_beyond(StoredConsumer& consumer, std::uint64_t until) {
  StoredConsumer::Kept& kept = consumer.kept;
  const std::uint64_t end = std::max({consumer.delivered, consumer.trusted, kept.unsure});
  consumer.delivered = std::min(consumer.delivered, until);
  consumer.trusted = std::min(consumer.trusted, until);
  if (until >= end) return;
  kept.good = until;
  kept.unsure = end;
}

void Consumers::write(StoredConsumer& consumer) {
  const StoredConsumer::Kept& kept = consumer.kept;
  const std::string types = pack(consumer.filter.filter().types);
  const std::string watches = pack(consumer.filter.filter().watches);
  if (consumer.id == 0) {
    sqlite::Statement& add = statements_->add;
    add.bind_text(1, consumer.name).bind(2, kept.position).bind_blob(3, types);
    add.bind_blob(4, watches).bind(5, kept.created).bind(6, kept.seen);
    add.bind_text(7, kept.owner).bind(8, kept.lease);
    kept.snapshot ? add.bind_blob(9, *kept.snapshot) : add.bind_null(9);
    add.bind(10, kept.used).bind(11, kept.good).bind(12, kept.unsure).run();
    return;
  }
  sqlite::Statement& set = statements_->set;
  set.bind(1, kept.position).bind_blob(2, types).bind_blob(3, watches).bind(4, kept.seen);
  set.bind_text(5, kept.owner).bind(6, kept.lease);
  kept.snapshot ? set.bind_blob(7, *kept.snapshot) : set.bind_null(7);
  set.bind(8, kept.used).bind(9, kept.good).bind(10, kept.unsure).bind(11, consumer.id).run();
}

bool Consumers::transact(bool lasting, const std::function<void()>& work) {
  sqlite::Database& database = *journal_.database();
  const sqlite::Synchronous synchronous(
      database, lasting && journal_.options().durability == Config::Journal::Durability::kProcess);
  try {
    sqlite::Transaction transaction(database);
    work();
    transaction.commit();
    return true;
  } catch (const sqlite::Error& error) {
    (void)journal_.may_be_retried(error);
    return false;
  }
}

bool Consumers::flush(const std::function<void(StoredConsumer&)>& gone) {
  if (changed_.empty()) return true;
  std::vector<std::pair<StoredConsumer*, std::uint32_t>> ids;
  const bool done = transact(std::exchange(lasting_, false), [&] {
    for (StoredConsumer* consumer : changed_) {
      write(*consumer);
      if (consumer->id == 0) {
        ids.emplace_back(consumer, static_cast<std::uint32_t>(journal_.database()->last_row()));
      }
    }
  });
  const std::vector<StoredConsumer*> changed = std::exchange(changed_, {});
  if (done) {
    for (const auto& [consumer, id] : ids) {
      consumer->id = id;
      log::info("consumer {}: made", consumer->name);
    }
    for (StoredConsumer* consumer : changed) {
      consumer->used_written = consumer->kept.used;
      consumer->before.reset();
    }
    return true;
  }
  for (StoredConsumer* consumer : changed) {
    if (consumer->id == 0) {
      gone(*consumer);
      consumers_.erase(consumer->name);
      continue;
    }
    const std::unique_ptr<StoredConsumer::Before> before = std::move(consumer->before);
    consumer->kept = std::move(before->kept);
    consumer->delivered = std::max(consumer->delivered, before->delivered);  // it may be told
    consumer->trusted = before->trusted;
    consumer->clear = before->clear;
    if (consumer->filter.filter() != before->filter) {
      consumer->filter = TopicFilter(std::move(before->filter));
    }
  }
  return false;
}

bool Consumers::forget(StoredConsumer& consumer) {
  // Its own entries of the log go when their time comes: nobody else reads them.
  if (!transact(true, [&] {
        statements_->drop_failures.bind(1, consumer.id).run();
        statements_->drop.bind(1, consumer.id).run();
      })) {
    return false;
  }
  consumers_.erase(consumers_.find(consumer.name));
  return true;
}

bool Consumers::forget_expired(const Now& now) {
  std::vector<StoredConsumer*> expired;
  const Nanos expiry = journal_.options().consumer_expiry;
  for (const auto& [name, consumer] : consumers_) {
    const bool is_unused = consumer->id != 0 && !consumer->before && !consumer->polled &&
                           journal_.ran(now) - consumer->kept.used > expiry;
    if (is_unused) expired.push_back(consumer.get());
    if (expired.size() == kForgottenAtOnce) break;
  }
  if (expired.empty()) return false;
  const bool done = transact(true, [&] {
    for (const StoredConsumer* consumer : expired) {
      statements_->drop_failures.bind(1, consumer->id).run();
      statements_->drop.bind(1, consumer->id).run();
    }
  });
  if (!done) return false;
  for (const StoredConsumer* consumer : expired) {
    log::info("consumer {}: not used for consumer_expiry; forgotten, with {} failed events",
              consumer->name, consumer->failed.size());
    consumers_.erase(consumers_.find(consumer->name));
  }
  return expired.size() == kForgottenAtOnce;
}

// --- failures

bool Consumers::fail(StoredConsumer& consumer, const Failure& failure, bool& kept) {
  kept = consumer.failed.contains(failure.position);
  std::uint32_t topic = 0;
  std::string body;
  if (kept) {
    statements_->failure.bind(1, consumer.id).bind(2, failure.position);
    if (statements_->failure.step()) {
      topic = static_cast<std::uint32_t>(statements_->failure.integer(0));
      body = statements_->failure.bytes(1);
      statements_->failure.reset();
    }
  } else if (failure.position > 0) {
    journal_.events().read(failure.position - 1, [&](const EventLog::Entry& entry) {
      const bool its = entry.consumer == 0 || entry.consumer == consumer.id;
      if (entry.position == failure.position && its &&
          consumer.filter.wants(journal_.events().topics(), entry.topic)) {
        topic = entry.topic;
        body = entry.body;
        kept = true;
      }
      return false;
    });
  }
  if (!kept) return true;
  if (!transact(true, [&] {
        statements_->put_failure.bind(1, consumer.id)
            .bind(2, failure.position)
            .bind(3, failure.time)
            .bind(4, failure.tries)
            .bind_text(5, failure.reason)
            .bind(6, topic)
            .bind_blob(7, body)
            .run();
      })) {
    return false;
  }
  consumer.failed.insert(failure.position);
  return true;
}

std::optional<std::size_t> Consumers::retry(
    StoredConsumer& consumer, const std::optional<std::vector<std::uint64_t>>& positions,
    std::size_t limit, Nanos wall, bool& more) {
  std::vector<std::uint64_t> chosen;
  more = false;
  // What `update` has made unwanted would be delivered to nobody: it stays.
  const auto is_wanted = [&](std::uint64_t position) {
    sqlite::Statement& read = statements_->failure;
    read.bind(1, consumer.id).bind(2, position);
    if (!read.step()) return true;
    const auto topic = static_cast<std::uint32_t>(read.integer(0));
    read.reset();
    return consumer.filter.wants(journal_.events().topics(), topic);
  };
  const auto choose = [&](std::uint64_t position) {
    if (!is_wanted(position)) return true;
    more = chosen.size() == limit;
    if (!more) chosen.push_back(position);
    return !more;
  };
  if (positions) {
    const std::set<std::uint64_t> asked(positions->begin(), positions->end());
    for (const std::uint64_t position : asked) {
      if (consumer.failed.contains(position) && !choose(position)) break;
    }
  } else {
    for (const std::uint64_t position : consumer.failed) {
      if (!choose(position)) break;
    }
  }
  if (chosen.empty()) return 0;
  const EventLog::Mark mark = journal_.events().mark();
  if (!transact(true, [&] {
        for (const std::uint64_t position : chosen) {
          sqlite::Statement& read = statements_->failure;
          read.bind(1, consumer.id).bind(2, position);
          if (read.step()) {
            const std::string body = read.text(1);
            const auto topic = static_cast<std::uint32_t>(read.integer(0));
            read.reset();
            journal_.events().append_for(consumer.id, {topic, body}, wall);
          }
          statements_->drop_failure.bind(1, consumer.id).bind(2, position).run();
        }
      })) {
    journal_.events().back_to(mark);
    return std::nullopt;
  }
  for (const std::uint64_t position : chosen) consumer.failed.erase(position);
  return chosen.size();
}

void Consumers::failures(const StoredConsumer& consumer, std::uint64_t after,
                         const std::function<bool(const Failure&)>& each) {
  sqlite::Statement& read = statements_->failures;
  read.bind(1, consumer.id).bind(2, after);
  Failure failure;
  while (read.step()) {
    failure.position = read.position(0);
    failure.time = read.integer(1);
    failure.tries = read.integer(2);
    failure.reason = read.bytes(3);
    failure.body = read.bytes(4);
    if (!each(failure)) {
      read.reset();
      return;
    }
  }
}

}  // namespace inotifier
