// Who has a file open for writing, as far as /proc shows it to us. One thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace inotifier {

struct FileWriter {
  pid_t pid = 0;
  std::string command;    ///< its name, bytes
  std::string container;  ///< the last part of its control group, if that names a container
};

/// `all`: true if every process could be looked at.
struct FileWriters {
  std::vector<FileWriter> found;
  bool all = true;
};
FileWriters writers_of(const std::string& path);

}  // namespace inotifier
