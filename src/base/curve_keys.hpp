// Key pairs of CURVE, ZeroMQ's encryption, and the files they are kept in: ZeroMQ's certificate
// format, which czmq and pyzmq (zmq.auth.load_certificate) read as well. Keys are text in Z85, 40
// characters each. Functions without state; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace inotifier {

struct CurveKeys {
  std::string public_key;
  std::string secret_key;                       ///< "" if only the public one is known
  std::map<std::string, std::string> metadata;  ///< what the file says besides
};

/// A new pair. Throws SetupError if libzmq was built without CURVE.
CurveKeys make_curve_keys();

/// The two files of a pair: the one to give away, and the one to keep.
std::string public_file_text(const CurveKeys& keys);
std::string secret_file_text(const CurveKeys& keys);

/// Of a file's text; `name` is what errors call it. Throws SetupError.
CurveKeys parse_curve_keys(std::string_view text, std::string_view name);
/// A file with a public key, and perhaps the secret one. Throws SetupError.
CurveKeys read_keys(const std::string& path);
/// A file with both. Refused unless it belongs to us or to root and nobody else can read or write
/// it; the SetupError has the remedy.
CurveKeys read_secret_keys(const std::string& path);

/// Text of a key's 32 bytes.
std::string z85(std::string_view bytes);

}  // namespace inotifier
