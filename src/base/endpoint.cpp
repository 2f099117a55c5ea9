#include "base/endpoint.hpp"

namespace inotifier {

Endpoint::Endpoint(std::string_view text) {
  constexpr std::string_view kIpc = "ipc://";
  constexpr std::string_view kTcp = "tcp://";
  if (text.starts_with(kIpc)) {
    transport = Transport::kIpc;
    address = text.substr(kIpc.size());
  } else if (text.starts_with(kTcp)) {
    transport = Transport::kTcp;
    address = text.substr(kTcp.size());
    const auto colon = address.rfind(':');
    host = address.substr(0, colon);
    if (colon != std::string_view::npos) port = address.substr(colon + 1);
  }
}

std::string_view Endpoint::bare_host() const {
  const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return has_brackets ? host.substr(1, host.size() - 2) : host;
}

}  // namespace inotifier
