// POST requests, many at a time, by libcurl's multi interface on a descriptor of its own. Owned by
// the broker for webhooks, on its thread; does not wait.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "inotifier/time.hpp"

namespace inotifier::forward {

class HttpClient {
 public:
  struct Options {
    std::string url;
    std::string ca_file;  ///< "" = the system's certificates
    int timeout = 30;     ///< seconds
  };
  struct Response {
    std::uint64_t request = 0;
    std::string error;  ///< "" = there was an answer
    long status = 0;
    Nanos retry_after = 0;
    std::string body;  ///< its beginning
  };

  /// Throws SetupError.
  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `headers`: "Name: value".
  void post(std::uint64_t request, const std::vector<std::string>& headers, std::string body);
  /// The answers since the last call.
  std::vector<Response> collect();
  std::size_t running() const { return transfers_.size(); }
  /// Gives up what is under way.
  void clear();
  int fd() const { return epoll_.get(); }

 private:
  struct Transfer;
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
  static int on_timer(CURLM* multi, long milliseconds, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* transfer);
  void set_timer(long milliseconds) const;
  Response response(const Transfer& transfer, CURLcode result) const;

  const Options options_;
  UniqueFd epoll_;
  UniqueFd timer_;
  CURLM* multi_ = nullptr;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace inotifier::forward
