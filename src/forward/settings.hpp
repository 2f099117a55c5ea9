// What the command line says about the other side, and the secrets, which never stand there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "inotifier/time.hpp"

namespace inotifier::forward {

struct Settings {
  std::string to;                    ///< URL, without a password
  std::string secret;                ///< webhooks: the key of the signature, "whsec_..."
  std::string token;                 ///< webhooks, NATS
  std::string password;              ///< NATS: of the URL's user
  std::string ca_file;               ///< certificates that are trusted instead of the system's
  int batch = 1;                     ///< webhooks: events a request at most
  int parallel = 16;                 ///< webhooks: requests at a time
  int timeout = 30;                  ///< webhooks: seconds a request
  std::string stream;                ///< NATS
  std::string prefix = "inotifier";  ///< NATS: first token of the subjects
  bool create_stream = false;        ///< NATS
  int replicas = 1;                  ///< NATS: of a stream that is created
};

/// "https" of "https://...". Throws UsageError if there is none, or if there is a password in it.
std::string scheme_of(std::string_view url);

/// The first line of `file` if one is named, else the environment's `variable`, else "". Throws
/// SetupError for a file that cannot be read, or has nothing in it.
std::string read_secret(const std::string& file, const char* variable);

}  // namespace inotifier::forward
