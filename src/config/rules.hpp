// What a well-formed endpoint, name, path, pattern is. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace inotifier::config {

/// Why something will not do, and what to write instead ("" if nobody can know).
struct ValidationError {
  std::string reason;
  std::string suggestion;
};

std::optional<ValidationError> check_endpoint(std::string_view text);
/// The same for two texts that mean the same socket.
std::string endpoint_key(std::string_view text);

/// True for tcp that other machines can reach.
bool is_beyond_loopback(std::string_view text);

std::optional<ValidationError> check_watch_name(std::string_view name);
std::optional<ValidationError> check_daemon_name(std::string_view name);
std::optional<ValidationError> check_path(std::string_view path);
std::optional<ValidationError> check_pattern(std::string_view pattern);
std::optional<ValidationError> check_group(std::string_view name);
std::optional<ValidationError> check_path_or_none(std::string_view path);
std::optional<ValidationError> check_journal_path(std::string_view path);
std::optional<ValidationError> check_previous_name(std::string_view name);
std::optional<ValidationError> check_event_type(std::string_view type);

/// A name for the watch of `path`: its last component, each character that a name cannot have
/// replaced by "-".
std::string name_from_path(std::string_view path);

}  // namespace inotifier::config
