// FakeFs: looks that may be left without an answer. A file that hangs answers when it hangs no
// more.
#include <deque>
#include <utility>
#include <vector>

#include "support/fake_fs.hpp"

namespace inotifier::testing {
namespace {

class FakeProbes final : public Probes {
 public:
  explicit FakeProbes(FakeFs& fs) : fs_(fs) {}
  ~FakeProbes() override {
    for (const int directory : directories_) fs_.close(directory);
  }

  void enter(int directory) override { directories_.push_back(fs_.open_directory(directory, "")); }
  void add(std::string name) override {
    files_.push_back({directories_.back(), std::move(name), {}, false});
  }
  void start() override {
    started_ = fs_.now().mono;
    for (File& file : files_) ask(file);
  }
  const Probe* answer(std::size_t file) const override {
    ask(files_[file]);
    return files_[file].answered ? &files_[file].found : nullptr;
  }
  Nanos asked_since(std::size_t) const override { return started_; }

 private:
  struct File {
    int directory;
    std::string name;
    Probe found;
    bool answered;
  };

  void ask(File& file) const {
    if (file.answered) return;
    try {
      file.found.stamp = fs_.stamp_clock();
      file.found.writer = fs_.writer(file.directory, file.name, file.found.stat, file.found.error);
      file.answered = true;
    } catch (const FakeHang&) {  // asked again later
    }
  }

  FakeFs& fs_;
  std::vector<int> directories_;
  mutable std::deque<File> files_;
  Nanos started_ = 0;
};

}  // namespace

std::unique_ptr<Probes> FakeFs::probes(std::uint64_t) {
  return std::make_unique<FakeProbes>(*this);
}

std::optional<RootProbe> FakeFs::probe_root(const std::string& path) {
  RootProbe found;
  try {
    found.handle = open_root(path);
    if (found.handle < 0) return found;
    if (const int failed = stat(found.handle, "", found.stat); failed != 0) {
      close(std::exchange(found.handle, failed));
      return found;
    }
    found.traits = traits(found.handle);
  } catch (const FakeHang&) {
    if (found.handle >= 0) close(found.handle);
    return std::nullopt;
  }
  return found;
}

}  // namespace inotifier::testing
