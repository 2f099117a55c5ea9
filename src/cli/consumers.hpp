// What the commands about consumers, and status, have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "inotifier/client.hpp"

namespace inotifier {

/// Of the commands that ask the daemon one thing.
struct AskArguments {
  Connection connection;
  std::string name;                    ///< of a consumer
  std::string to;                      ///< seek: a position of the journal
  std::vector<std::string> positions;  ///< retry; empty = all
  std::vector<std::string> types;      ///< update
  std::vector<std::string> watches;    ///< update
  bool all_types = false;              ///< update
  bool all_watches = false;            ///< update
  bool check = false;                  ///< status: only the exit code
  OutputOptions output;
};

inline constexpr const char* kFetchEndpointHelp =
    "where the daemon answers requests (ipc://... tcp://...)";

/// For a person: text without control characters, anything else as JSON, "-" for nothing.
std::string shown(const Value* value);

/// Runs `request`; what is refused, or cannot be asked, becomes a message and exit code 1.
/// `consumer`: that it is about; for an unknown one near names are given.
int ask_daemon(const Connection& connection, const std::function<int(Requester&)>& request,
               const std::string& consumer = {});

/// What the daemon refused, in words; near names if there is no such consumer. Asks the daemon for
/// them.
std::string refusal(Requester& requester, const std::string& name, const RequestError& error);

/// Of a reply with `consumers`.
std::string consumers_table(const Value& reply);

}  // namespace inotifier
