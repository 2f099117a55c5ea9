// What `check` finds out about one watch before anybody starts it: a walk through its tree that
// changes nothing. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "fs/fs.hpp"

namespace inotifier {

struct Survey {
  /// errno of opening the root; 0 if it could be opened and listed. Nothing else holds otherwise.
  int error = 0;
  FsTraits traits;                         ///< of the root
  std::map<std::string, FsTraits> others;  ///< of file systems mounted below, by path

  std::int64_t directories = 0;  ///< that need a watch each, the root included
  std::int64_t files = 0;        ///< regular ones, admitted or not
  std::int64_t admitted = 0;     ///< that a first start would announce
  std::int64_t temporary = 0;    ///< that look unfinished
  std::int64_t unreadable = 0;   ///< directories that could not be listed
  std::string first_unreadable;  ///< relative path
  int unreadable_error = 0;

  /// Whether the kernel gave a read lease on a file of this owner.
  struct Trial {
    std::uint32_t uid = 0;
    std::string path;  ///< relative
    Files::Writer result = Files::Writer::kGone;
    int error = 0;  ///< errno if the result is kUnknown
  };
  std::vector<Trial> trials;  ///< one for each owner of files, a few at most
  /// Relative paths of directories whose names say that workers put away there what is done.
  std::vector<std::string> set_aside;
};

Survey survey(const WatchConfig& watch, Fs& fs);

/// Where the journal is, or would be made.
struct JournalSurvey {
  std::string directory;   ///< the nearest that exists
  std::string type;        ///< of its file system; "" if remote, which is not touched
  bool remote = false;     ///< a network or FUSE file system
  int error = 0;           ///< errno of writing there; 0 if we may
  bool is_there = false;   ///< the journal itself
  std::int64_t used = 0;   ///< bytes it takes now
  std::int64_t free = -1;  ///< bytes left on its file system; -1 if not known
};

JournalSurvey survey_journal(const std::string& path, Fs& fs);
/// The directory that would have to be written to for a file at `path`: the nearest that exists.
std::string nearest_directory(std::string path);

/// errno in words.
std::string error_text(int error);

}  // namespace inotifier
