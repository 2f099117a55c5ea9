// The local disk. Descriptors, statx(2), getdents64(2), F_SETLEASE. Pipeline thread (a poller has
// one of its own).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fs/fs.hpp"
#include "fs/mounts.hpp"
#include "fs/prober.hpp"

namespace inotifier {

class RootJob;

class RealFs final : public Fs {
 public:
  /// What a poller asks a remote volume, the volume is to answer; the pipeline gets what is known
  /// here already.
  enum class Reach { kLocal, kRemote };

  /// Ignores SIGIO for the whole process: a lease that a writer breaks sends it, and it would end
  /// us (fcntl(2)).
  explicit RealFs(Reach reach = Reach::kLocal);
  /// `prober` lives as long as this. Without one, probes are made at once by the caller's thread,
  /// however long that takes.
  explicit RealFs(Prober& prober) : RealFs() { prober_ = &prober; }
  ~RealFs() override;

  int open_root(const std::string& path) override;
  int open_directory(int handle, const std::string& relative) override;
  void close(int handle) override;
  int stat(int handle, const std::string& relative, Stat& out) override;
  std::unique_ptr<Listing> list(int handle, int& error) override;
  Files::Writer writer(int handle, const std::string& relative, Stat& out, int& error) override;
  std::unique_ptr<Probes> probes(std::uint64_t volume) override;
  std::optional<RootProbe> probe_root(const std::string& path) override;
  FsTraits traits(int handle) override;
  Nanos stamp_clock() override;
  Nanos wall_clock() override;
  std::optional<std::string> mounts_below(const std::string& path) override;

  /// By the prober if there is one.
  void start(const std::shared_ptr<Prober::Batch>& batch);

 private:
  Mounts* local_mounts() { return reach_ == Reach::kLocal ? &mounts_ : nullptr; }

  Prober* prober_ = nullptr;
  std::map<std::string, std::shared_ptr<RootJob>> roots_;  ///< by path: not answered yet
  Reach reach_;
  Mounts mounts_;
};

/// Whether `path` leads to a network or FUSE file system, symbolic links followed; without touching
/// that: a dead server would hang whoever does.
bool is_remote(const std::string& path);

}  // namespace inotifier
