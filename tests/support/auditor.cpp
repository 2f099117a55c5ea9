#include "support/auditor.hpp"

#include <algorithm>

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "inotifier/wire.hpp"
#include "support/expectation.hpp"

namespace inotifier::testing {
namespace {

// As the daemon has it (CONFIG_HZ=100).
constexpr Nanos kTick = 10'000'000;

}  // namespace

Auditor::Auditor(FakeWorld& world, const WatchConfig& config, bool strict, bool progress)
    : world_(world),
      config_(config),
      filters_(config.include, config.exclude, config.temporary),
      strict_(strict),
      progress_(progress) {}

void Auditor::note(const std::string& problem) {
  if (problem_.empty()) problem_ = problem;
}

void Auditor::before_start() {
  if (config_.existing == WatchConfig::Existing::kAnnounce) return;
  world_.fs().visit(
      config_.path, [](const std::string&) { return true; },
      [&](const std::string& path, const FakeFs::Seen& seen) {
        const bool is_fresh = seen.inode->ctime > world_.fs().now().wall - kTick;
        if (!seen.is_written) at_start_[path] = {seen.inode->content, is_fresh};
      });
}

void Auditor::on_event(const Event& event) {
  if (strict_ && event.type == "watch.degraded") note("degraded: " + text_of(event, nullptr));
  if (event.type != "file.completed") return;
  ++announced_;
  const std::string path = event.relative_path();
  const std::string text = text_of(event, nullptr);
  if (filters_.file(path) != Filters::Verdict::kAdmitted) note("not to be announced: " + text);
  const auto* looks = world_.fs().looks(join(config_.path, path));
  const FakeLook* look = nullptr;
  if (looks != nullptr) {
    const auto found = std::ranges::find_if(*looks, [&](const FakeLook& one) {
      return std::to_string(one.inode) == value_of(event, "inode") && one.size == event.size() &&
             rfc3339(one.mtime) == value_of(event, "mtime");
    });
    if (found != looks->end()) look = &*found;
  }
  if (look == nullptr) return note("announced, but the daemon never saw that there: " + text);
  if (!look->quiet) note("announced while it is written: " + text);
  const auto [known, is_new] = ids_.try_emplace(event.id, Version{*look, path});
  if (!is_new) {
    if (known->second.path != path || !is_same(known->second.look, *look)) {
      note("one id for two versions: " + text);
    }
    if (!rewound_) note("announced twice under one id: " + text);
  }
  const auto last = last_.find(place_of(path, *look));
  if (strict_ && last != last_.end() && last->second.content == look->content) {
    note("the same content announced again: " + text);
  }
  const auto there = at_start_.find(path);
  if (there != at_start_.end() && there->second.content == look->content &&
      !(unseen_ && there->second.is_fresh)) {
    note("announced though it was there already: " + text);
  }
  last_[place_of(path, *look)] = *look;
}

bool Auditor::is_announced(const std::string& path, const FakeLook& last,
                           const FakeLook& now) const {
  if (is_same(last, now)) return true;
  // Its times may have been set since.
  const auto* looks = world_.fs().looks(join(config_.path, path));
  return looks != nullptr && std::ranges::any_of(*looks, [&](const FakeLook& seen) {
           return seen.content == last.content && is_same(seen, now);
         });
}

bool Auditor::is_news(const std::string& path, const FakeFs::Seen& seen) const {
  if (seen.inode->kind != FakeInode::Kind::kFile) return false;
  if (filters_.file(path) != Filters::Verdict::kAdmitted) return false;
  const auto there = at_start_.find(path);
  if (there != at_start_.end() && there->second.content == seen.inode->content) return false;
  if (config_.processor != "create-via-chunks") return true;
  const std::string& from = seen.name->came_from;
  return seen.name->came_as == seen.inode->content && from.starts_with(config_.path + '/') &&
         filters_.file(from.substr(config_.path.size() + 1)) == Filters::Verdict::kTemporary;
}

void Auditor::compare() {
  struct Names {
    std::string path;
    bool is_announced = false;
    std::string what;
  };
  // Through bind mounts one name can be seen at several places; once is enough.
  std::map<const FakeDentry*, Names> names;
  const std::uint64_t root = world_.fs().inode_number(config_.path);
  world_.fs().visit(
      config_.path, [&](const std::string& path) { return filters_.enters(path); },
      [&](const std::string& path, const FakeFs::Seen& seen) {
        const FakeInode& inode = *seen.inode;
        if (!is_news(path, seen)) return;
        Names& name = names[seen.name];
        name.path = path;
        const FakeLook look = world_.fs().look_of(inode, root);
        const auto found = last_.find(place_of(path, look));
        if (found != last_.end() && is_announced(path, found->second, look)) {
          name.is_announced = true;
        }
        name.what =
            (found == last_.end() ? "never announced: " : "its last version was not announced: ") +
            path + " (inode " + std::to_string(inode.number) + ", size " +
            std::to_string(inode.size) + ", mtime " + rfc3339(inode.mtime) + ")";
      });
  for (const auto& [dentry, name] : names) {
    if (!name.is_announced) note(name.what);
  }
}

void Auditor::compare_status() {
  std::size_t temporary = 0;
  std::size_t directories = 1;
  std::size_t names = 0;
  std::size_t files = 0;
  std::set<const FakeInode*> seen_directories;
  bool aliased = false;
  world_.fs().visit(
      config_.path, [&](const std::string& path) { return filters_.enters(path); },
      [&](const std::string& path, const FakeFs::Seen& seen) {
        ++names;
        if (seen.inode->kind == FakeInode::Kind::kDirectory && filters_.enters(path)) {
          ++directories;
          if (!seen_directories.insert(seen.inode).second) aliased = true;
        }
        if (seen.inode->kind != FakeInode::Kind::kFile) return;
        const auto verdict = filters_.file(path);
        if (verdict == Filters::Verdict::kTemporary) ++temporary;
        if (verdict == Filters::Verdict::kAdmitted) ++files;
      });
  const auto status = world_.status();
  const auto wrong = [&](const char* what, std::size_t said, std::size_t is) {
    note(std::string("status: ") + what + " is said to be " + std::to_string(said) + ", is " +
         std::to_string(is));
  };
  const bool is_there = world_.fs().inode_number(config_.path) != 0;
  // An empty directory where a volume was is not the watched tree.
  if (status.lost && names == 0) return;
  if (status.lost == is_there) wrong("lost", status.lost ? 1 : 0, is_there ? 0 : 1);
  if (!is_there) return;
  if (!status.ready) wrong("ready", 0, 1);
  if (progress_ && status.in_progress != temporary)
    wrong("in_progress", status.in_progress, temporary);
  if (!aliased && status.directories != directories) {
    wrong("directories", status.directories, directories);
  }
  // Temporary files that are stalled are known too.
  if (!aliased && (status.files < files || status.files > files + temporary)) {
    wrong("files", status.files, files);
  }
  if (strict_ && !status.degraded.empty()) note("status: degraded: " + status.degraded.front());
}

}  // namespace inotifier::testing
