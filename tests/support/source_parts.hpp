// The parts of a Watcher over FakeFs, wired as a Watcher does it, and a sink that writes down what
// they say. For unit tests of single parts.
#pragma once

#include <sys/inotify.h>

#include <string>
#include <vector>

#include "source/scanner.hpp"
#include "source/tree.hpp"
#include "support/fake_fs.hpp"

namespace inotifier::testing {

class RecordingSink final : public EventSource::Sink {
 public:
  void on_raw(const RawEvent& event) override {
    using Kind = RawEvent::Kind;
    const std::string path(event.path);
    if (event.kind == Kind::kFound) lines.push_back("found " + path);
    if (event.kind == Kind::kLeft) lines.push_back("left " + path);
    if (event.kind == Kind::kDirGone) lines.push_back("directory gone " + path);
    if (event.kind == Kind::kScanned) lines.emplace_back("scanned");
  }
  void on_record(const Record&, std::string_view) override {}
  void on_status(std::string_view type, Value::Map) override {
    lines.push_back("watch." + std::string(type));
  }
  void on_degraded(const Degraded& what) override {
    lines.push_back("degraded " + std::string(name_of(what.reason)) + ' ' + what.path);
  }
  void on_scanned(Origin, std::string_view reason, Nanos) override {
    lines.push_back("end of scan: " + std::string(reason));
  }
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
};

/// The root is /w, and there.
struct SourceParts {
  SourceParts() {
    fs.make_directory("/w");
    options.root = "/w";
    options.enters = [](std::string_view) { return true; };
  }
  void attach() {
    root.check(0);
    tree.table().set_identity(kRootDir, root.stat());
  }
  void pass(Nanos time) {
    now += time;
    fs.set_time({now, now});
    tree.begin_turn(now);
    scanner.begin_turn(now);
  }
  void scan() {
    scanner.begin_scan({"test", Origin::kStartup, true});
    while (scanner.slice(1000)) continue;
  }
  void write(const std::string& path) { fs.close_file(fs.open_file(path, {.create = true})); }

  FakeFs fs;
  WatchOptions options;
  FakeNotifier notifier{fs, IN_ONLYDIR | IN_EXCL_UNLINK};
  RecordingSink sink;
  EventSource::Output out{sink};
  Root root{"/w", fs};
  Rescans rescans;
  Tree tree{options, fs, &notifier, root, rescans, out};
  Scanner scanner{options, fs, root, tree, rescans, out};
  Nanos now = 0;
};

}  // namespace inotifier::testing
