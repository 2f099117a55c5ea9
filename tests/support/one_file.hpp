// One file as a processor sees it, without a disk, and what it says of it.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inotifier/processor.hpp"

namespace inotifier::testing {

struct OneFile final : Files, Out {
  Writer found = Writer::kNone;
  int error = 0;
  Stat now;
  std::uint64_t read = 96;  ///< what handled() says
  std::uint32_t doubt = 1;
  bool shows = true;
  std::vector<Report> reports;
  OneFile() { now.inode = 1, now.size = 10, now.mode = S_IFREG | 0644; }

  bool path(DirId, std::string_view name, std::string& out) override { return out = name, true; }
  int stat(DirId, std::string_view, Stat& out) override { return out = now, error; }
  Writer writer(DirId, std::string_view, Stat& out) override { return out = now, found; }
  int stat_path(std::string_view, Stat& out) override { return out = now, error; }
  std::uint64_t queued() const override { return 96; }
  std::uint64_t handled() const override { return read; }
  std::uint32_t doubts() const override { return doubt; }
  bool later_write_shows(const Stat&) override { return shows; }
  bool keeps_inodes() const override { return true; }
  bool wants(std::string_view) const override { return true; }
  void emit(Report report) override { reports.push_back(std::move(report)); }
};

}  // namespace inotifier::testing
