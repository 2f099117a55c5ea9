#include "journal/snapshot.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/hex.hpp"
#include "base/path.hpp"
#include "inotifier/wire.hpp"
#include "journal/sqlite.hpp"
#include "state/file_table.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

// Some 5 ms.
constexpr int kRowsAtOnce = 500;
// Deeper is a circle, and that would be damage.
constexpr int kMaxDepth = 100'000;
constexpr std::string_view kType = "file.completed";

}  // namespace

/// The last row that was done, as it is kept with the consumer.
struct Snapshot::Progress {
  std::int64_t watch = 0;
  std::int64_t directory = -1;
  std::string name;

  static Progress from(std::string_view kept) {
    const Value value = decode_value(kept);
    const Value::Array& parts = *value.array();
    return {*parts.at(0).integer(), *parts.at(1).integer(),
            std::get<Value::Bytes>(parts.at(2).v).data};
  }
  std::string text() const {
    return encode_value(Value(Value::Array{watch, directory, Value::Bytes{name}}));
  }
};

/// The watch whose files are read.
struct Snapshot::Source {
  std::int64_t id = 0;
  std::string name;
  std::string root;
  std::string topic;
};

struct Snapshot::Statements {
  explicit Statements(sqlite::Database& db)
      : watch(db, "SELECT id, name, root FROM watches WHERE id>=? ORDER BY id LIMIT 1"),
        files(db,
              "SELECT directory, name, inode, size, mtime, tie, state, event, birth FROM files "
              "WHERE watch=? AND (directory, name) > (?, ?) ORDER BY directory, name LIMIT ?"),
        directory(db, "SELECT parent, name FROM directories WHERE watch=? AND id=?"),
        progress(db, "UPDATE consumers SET snapshot=? WHERE id=?") {}

  sqlite::Statement watch, files, directory, progress;
};

Snapshot::Snapshot(Journal& journal) : journal_(journal) {
  if (journal_.database() == nullptr) return;
  statements_ = std::make_unique<Statements>(*journal_.database());
}

Snapshot::~Snapshot() = default;

std::string Snapshot::beginning() { return Progress().text(); }

bool Snapshot::slice(StoredConsumer& consumer, Nanos wall, std::size_t most) {
  const int rows = static_cast<int>(std::min<std::size_t>(most, kRowsAtOnce));
  Progress progress = Progress::from(*consumer.kept.snapshot);
  std::optional<std::string> kept;
  const EventLog::Mark before = journal_.events().mark();
  try {
    sqlite::Transaction transaction(*journal_.database());
    sqlite::Statement& set = statements_->progress;
    if (advance(consumer, wall, rows, progress)) {
      kept = progress.text();
      set.bind_blob(1, *kept);
    } else {
      set.bind_null(1);
    }
    set.bind(2, consumer.id).run();
    transaction.commit();
  } catch (const sqlite::Error& error) {
    statements_->files.reset();
    statements_->watch.reset();
    journal_.events().back_to(before);
    (void)journal_.may_be_retried(error);
    return false;
  }
  consumer.kept.snapshot = std::move(kept);
  return true;
}

/// Puts some files of the next watch into the log. False: there is no further watch.
bool Snapshot::advance(StoredConsumer& consumer, Nanos wall, int most, Progress& progress) {
  sqlite::Statement& watches = statements_->watch;
  watches.bind(1, progress.watch);
  if (!watches.step()) return false;
  Source source{watches.integer(0), watches.text(1), watches.text(2), std::string(kType) + "/"};
  watches.reset();
  source.topic += source.name + "/";
  if (source.id != progress.watch) progress = {source.id, -1, ""};
  int rows = 0;
  if (journal_.state().is_open(source.id) && consumer.filter.wants(source.topic)) {
    rows = append_files(consumer, source, wall, most, progress);
  }
  if (rows < most) progress = {source.id + 1, -1, ""};
  return true;
}

/// How many rows were read.
int Snapshot::append_files(const StoredConsumer& consumer, const Source& source, Nanos wall,
                           int most, Progress& progress) {
  EventLog& events = journal_.events();
  const std::uint32_t topic = events.topic_number(source.topic);
  Envelope envelope;
  envelope.daemon_name = events.daemon_name();
  envelope.watch = source.name;
  envelope.root = source.root;
  envelope.time = wall;
  std::optional<std::uint32_t> known;  // whose path `directory` is
  bool in_tree = false;
  std::string directory;
  std::string body;
  sqlite::Statement& files = statements_->files;
  const Progress from = progress;
  files.bind(1, source.id).bind(2, from.directory).bind_blob(3, from.name).bind(4, most);
  int rows = 0;
  for (; files.step(); ++rows) {
    progress.directory = files.integer(0);
    progress.name = files.text(1);
    if (static_cast<Row::State>(files.integer(6)) != Row::State::kAnnounced) continue;
    const auto dir = static_cast<std::uint32_t>(progress.directory);
    if (known != dir) in_tree = directory_path(source.id, dir, directory);
    known = dir;
    if (!in_tree) continue;
    Report report;
    report.type = kType;
    report.path = join(directory, progress.name);
    FileFacts& facts = report.file.emplace();
    facts.stat.inode = files.position(2);
    facts.stat.size = files.integer(3);
    facts.stat.mtime = files.integer(4);
    facts.stat.btime = files.integer(8);
    facts.revision = static_cast<std::uint32_t>(files.integer(5));
    facts.evidence = Evidence::kScan;
    facts.origin = Origin::kStartup;
    facts.first_seen = wall;
    const std::string id = hex(files.is_null(7) ? EventLog::file_id(kType, source.name, report.path,
                                                                    facts.stat, facts.revision)
                                                : files.text(7));
    envelope.id = id;
    encode_report(report, envelope, body);
    events.append_for(consumer.id, {topic, body}, wall);
  }
  return rows;
}

/// False: it is not in the tree (any more).
bool Snapshot::directory_path(std::int64_t watch, std::uint32_t directory, std::string& path) {
  path.clear();
  for (int depth = 0; directory != kRootDir; ++depth) {
    sqlite::Statement& read = statements_->directory;
    read.bind(1, watch).bind(2, directory);
    if (depth > kMaxDepth || !read.step()) return false;
    path = join(read.text(1), path);
    directory = static_cast<std::uint32_t>(read.integer(0));
    read.reset();
    if (directory == kNoDir) return false;
  }
  return true;
}

}  // namespace inotifier
