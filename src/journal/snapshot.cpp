#include "journal/snapshot.hpp"

#include <algorithm>
#include <optional>
#include <vector>

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

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

}  // namespace

/// The last row that was done.
struct Snapshot::Place {
  std::int64_t watch = 0;
  std::int64_t directory = -1;
  std::string name;

  static Place from(std::string_view kept) {
    const Value value = decode_value(kept);
    const Value::Array& parts = *value.array();
    return {*parts.at(0).integer(), *parts.at(1).integer(),
            std::get<Value::Bytes>(parts.at(2).v).data};
  }
  std::string text() const {
    return encode_value(Value(Value::Array{watch, directory, Value::Bytes{name}}));
  }
};

struct Snapshot::Statements {
  explicit Statements(sqlite::Database& db)
      : watch(db, "SELECT id, name, root FROM watches WHERE id>=? ORDER BY id LIMIT 1"),
        files(db,
              "SELECT directory, name, inode, size, mtime, tie, state, event FROM files "
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

std::string Snapshot::beginning() { return Place().text(); }

/// False: it is not in the tree (any more).
bool Snapshot::directory_path(std::int64_t watch, std::uint32_t directory, std::string& path) {
  path.clear();
  std::vector<std::string> names;
  for (int depth = 0; directory != kRootDir; ++depth) {
    sqlite::Statement& read = statements_->directory;
    read.bind(1, watch).bind(2, directory);
    if (depth > kMaxDepth || !read.step()) return false;
    names.push_back(read.text(1));
    const auto parent = static_cast<std::uint32_t>(read.integer(0));
    read.reset();
    if (parent == kNoDir) return false;
    directory = parent;
  }
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (!path.empty()) path += '/';
    path += *name;
  }
  return true;
}

bool Snapshot::slice(StoredConsumer& consumer, Nanos wall) {
  Place place = Place::from(*consumer.kept.snapshot);
  const Journal::Place before = journal_.place();
  std::optional<std::string> progress;
  try {
    sqlite::Transaction transaction(*journal_.database());
    sqlite::Statement& watches = statements_->watch;
    watches.bind(1, place.watch);
    if (watches.step()) {
      const std::int64_t watch = watches.integer(0);
      const std::string watch_name = watches.text(1);
      const std::string root = watches.text(2);
      watches.reset();
      if (watch != place.watch) place = {watch, -1, ""};
      const std::string topic_name = std::string(kType) + "/" + watch_name + "/";
      int rows = 0;
      if (journal_.is_open(watch) && consumer.filter.wants(topic_name)) {
        const std::uint32_t topic = journal_.topic_number(topic_name);
        std::optional<std::uint32_t> known;  // whose path `directory` is
        bool in_tree = false;
        std::string directory;
        std::string body;
        std::string id;
        Envelope envelope;
        envelope.daemon_name = journal_.daemon_name();
        envelope.watch = watch_name;
        envelope.root = root;
        envelope.time = wall;
        sqlite::Statement& files = statements_->files;
        const Place from = place;
        files.bind(1, watch).bind(2, from.directory).bind_blob(3, from.name).bind(4, kRowsAtOnce);
        while (files.step()) {
          ++rows;
          place.directory = files.integer(0);
          place.name = files.text(1);
          if (static_cast<Row::State>(files.integer(6)) != Row::State::kAnnounced) continue;
          const auto dir = static_cast<std::uint32_t>(place.directory);
          if (known != dir) in_tree = directory_path(watch, dir, directory);
          known = dir;
          if (!in_tree) continue;
          Report report;
          report.type = kType;
          report.path = join(directory, place.name);
          FileFacts& facts = report.file.emplace();
          facts.stat.inode = files.position(2);
          facts.stat.size = files.integer(3);
          facts.stat.mtime = files.integer(4);
          facts.revision = static_cast<std::uint32_t>(files.integer(5));
          facts.evidence = Evidence::kScan;
          facts.origin = Origin::kStartup;
          facts.first_seen = wall;
          id = files.is_null(7)
                   ? Journal::file_id(kType, watch_name, report.path, facts.stat, facts.revision)
                   : hex(files.bytes(7));
          envelope.id = id;
          encode_report(report, envelope, body);
          const Journal::Copy copy{topic, body};
          journal_.append_for(consumer.id, std::span(&copy, 1), wall);
        }
      }
      if (rows < kRowsAtOnce) place = {watch + 1, -1, ""};
      progress = place.text();
    }
    if (progress) {
      statements_->progress.bind_blob(1, *progress);
    } else {
      statements_->progress.bind_null(1);
    }
    statements_->progress.bind(2, consumer.id).run();
    transaction.commit();
  } catch (const sqlite::Error& error) {
    statements_->files.reset();
    statements_->watch.reset();
    journal_.back_to(before);
    (void)journal_.may_be_retried(error);
    return false;
  }
  consumer.kept.snapshot = progress;
  return true;
}

}  // namespace inotifier
