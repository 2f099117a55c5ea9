// A ZeroMQ endpoint taken apart: "ipc:///run/inotifier/publish", "tcp://127.0.0.1:7556". Pure; any
// thread.
#pragma once

#include <string_view>

namespace inotifier {

struct Endpoint {
  enum class Transport { kIpc, kTcp, kUnknown };
  Transport transport = Transport::kUnknown;
  std::string_view address;  ///< what follows "://": the path, or host and port
  std::string_view host;     ///< of tcp, with the brackets of an IPv6 address
  std::string_view port;     ///< of tcp; "" if there is none

  /// Views of `text`.
  explicit Endpoint(std::string_view text);
  bool is_ipc() const { return transport == Transport::kIpc; }
  bool is_tcp() const { return transport == Transport::kTcp; }
  bool is_ipv6() const { return host.starts_with('['); }
  /// `host` without brackets.
  std::string_view bare_host() const;
};

}  // namespace inotifier
