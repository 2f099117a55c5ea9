#include <cstdlib>
#include <string_view>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "client/connection.hpp"

namespace inotifier {
namespace {

constexpr const char* kServerKey = "INOTIFIER_SERVER_KEY";
constexpr const char* kKey = "INOTIFIER_KEY";

std::string given_or(const std::string& given, const char* variable) {
  if (!given.empty()) return given;
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string() : value;
}

}  // namespace

ClientKeys read_client_keys(const std::string& server_key, const std::string& key) {
  const std::string server_file = given_or(server_key, kServerKey);
  const std::string own_file = given_or(key, kKey);
  if (server_file.empty() && own_file.empty()) return {};
  const auto bad = [](const std::string& what) {
    return ConnectionError(ConnectionError::Reason::kBadKey, what);
  };
  if (own_file.empty()) {
    throw bad(
        "the daemon's key is given, but not our own: --key or INOTIFIER_KEY names the file "
        "with our secret key");
  }
  if (server_file.empty()) {
    throw bad(
        "our own key is given, but not the daemon's: --server-key or INOTIFIER_SERVER_KEY "
        "names the file with its public key");
  }
  try {
    const CurveKeys server = read_keys(server_file);
    const CurveKeys own = read_secret_keys(own_file);
    return {server.public_key, own.public_key, own.secret_key};
  } catch (const SetupError& error) {
    throw bad(error.what());
  }
}

}  // namespace inotifier
