// RealFs: what the prober's threads ask.
#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "fs/real_fs.hpp"

namespace inotifier {
namespace {

/// Lives as long as a prober thread has to do with it, so it owns its descriptors.
class FileJob final : public Prober::Batch {
 public:
  struct File {
    int directory = -1;
    std::string name;
    Probe found;
  };
  FileJob(std::uint64_t volume, std::vector<File> files, std::vector<UniqueFd> directories)
      : Batch("device " + std::to_string(volume), files.size()),
        files_(std::move(files)),
        directories_(std::move(directories)) {}
  const Probe& found(std::size_t file) const { return files_[file].found; }

 protected:
  void ask(std::size_t item) override {
    File& file = files_[item];
    Probe& found = file.found;
    found.stamp = fs_.stamp_clock();
    // Without a descriptor: out of them; no answer yet.
    found.writer = file.directory < 0
                       ? Files::Writer::kChanged
                       : fs_.writer(file.directory, file.name, found.stat, found.error);
  }

 private:
  RealFs fs_;
  std::vector<File> files_;
  std::vector<UniqueFd> directories_;
};

class RealProbes final : public Probes {
 public:
  RealProbes(RealFs& fs, std::uint64_t volume) : fs_(fs), volume_(volume) {}

  void enter(int directory) override {
    directories_.emplace_back(fcntl(directory, F_DUPFD_CLOEXEC, 0));
  }
  void add(std::string name) override {
    files_.push_back({directories_.back().get(), std::move(name), {}});
  }
  void start() override {
    job_ = std::make_shared<FileJob>(volume_, std::move(files_), std::move(directories_));
    fs_.start(job_);
  }
  const Probe* answer(std::size_t file) const override {
    return job_->has_answer(file) ? &job_->found(file) : nullptr;
  }
  Nanos asked_since(std::size_t file) const override { return job_->asked_since(file); }

 private:
  RealFs& fs_;
  std::uint64_t volume_;
  std::vector<FileJob::File> files_;
  std::vector<UniqueFd> directories_;
  std::shared_ptr<FileJob> job_;
};

}  // namespace

class RootJob final : public Prober::Batch {
 public:
  explicit RootJob(const std::string& path) : Batch("root " + path, 1), path_(path) {}
  ~RootJob() override { UniqueFd(found_.handle); }
  RootProbe take() {
    RootProbe taken = found_;
    found_.handle = -1;
    return taken;
  }

 protected:
  void ask(std::size_t) override {
    found_.handle = fs_.open_root(path_);
    if (found_.handle < 0) return;
    if (const int failed = fs_.stat(found_.handle, "", found_.stat); failed != 0) {
      fs_.close(std::exchange(found_.handle, failed));
      return;
    }
    found_.traits = fs_.traits(found_.handle);
  }

 private:
  RealFs fs_;
  std::string path_;
  RootProbe found_;
};

RealFs::~RealFs() = default;

void RealFs::start(const std::shared_ptr<Prober::Batch>& batch) {
  if (prober_ != nullptr) {
    prober_->start(batch);
  } else {
    Prober::ask_here(*batch);
  }
}

std::unique_ptr<Probes> RealFs::probes(std::uint64_t volume) {
  return std::make_unique<RealProbes>(*this, volume);
}

std::optional<RootProbe> RealFs::probe_root(const std::string& path) {
  std::shared_ptr<RootJob>& job = roots_[path];
  if (!job) {
    job = std::make_shared<RootJob>(path);
    start(job);
  }
  if (!job->finished()) return std::nullopt;
  const RootProbe found = job->take();
  roots_.erase(path);
  return found;
}

}  // namespace inotifier
