// What we make ourselves is no candidate, wherever it lies. Used before watches are made.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace inotifier {

/// The database at `path`, what SQLite puts beside it, and its lock.
std::vector<std::string> files_of_journal(const std::string& path);

/// Excludes those of `files` (absolute) that lie below a watch, also if one of both is named
/// through a symbolic link.
void exclude_files(std::vector<WatchConfig>& watches, const std::vector<std::string>& files);

}  // namespace inotifier
