#include "forward/http_client.hpp"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.hpp"

namespace inotifier::forward {
namespace {

constexpr std::size_t kLongestBody = 300;
constexpr long kConnectTimeout = 10'000;
constexpr Nanos kLongestRetryAfter = 3600 * kSecond;

}  // namespace

struct HttpClient::Transfer {
  CURL* easy = ::curl_easy_init();
  curl_slist* headers = nullptr;
  std::uint64_t request = 0;
  std::string body;
  std::string answer;
  std::array<char, CURL_ERROR_SIZE> error{};

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    ::curl_easy_cleanup(easy);
    ::curl_slist_free_all(headers);
  }
};

HttpClient::HttpClient(Options options)
    : options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (!epoll_) throw SetupError(describe("epoll_create1", "", errno));
  if (!timer_) throw SetupError(describe("timerfd_create", "", errno));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = timer_.get();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) != 0) {
    throw SetupError(describe("epoll_ctl", "", errno));
  }
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    throw SetupError("curl_global_init: libcurl cannot be started");
  }
  multi_ = ::curl_multi_init();
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &HttpClient::on_socket);
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &HttpClient::on_timer);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

HttpClient::~HttpClient() {
  clear();
  ::curl_multi_cleanup(multi_);
  ::curl_global_cleanup();
}

void HttpClient::clear() {
  for (const auto& [easy, transfer] : transfers_) ::curl_multi_remove_handle(multi_, easy);
  transfers_.clear();
}

int HttpClient::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  const int epoll = static_cast<HttpClient*>(self)->epoll_.get();
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  epoll_event event{};
  if (what != CURL_POLL_OUT) event.events |= EPOLLIN;
  if (what != CURL_POLL_IN) event.events |= EPOLLOUT;
  event.data.fd = socket;
  if (::epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : -1;
}

int HttpClient::on_timer(CURLM*, long milliseconds, void* self) {
  static_cast<HttpClient*>(self)->set_timer(milliseconds);
  return 0;
}

void HttpClient::set_timer(long milliseconds) const {
  itimerspec time{};
  if (milliseconds >= 0) {
    // Zero would disarm it.
    time.it_value.tv_sec = milliseconds / 1000;
    time.it_value.tv_nsec = std::max(milliseconds % 1000 * 1'000'000, 1L);
  }
  ::timerfd_settime(timer_.get(), 0, &time, nullptr);
}

std::size_t HttpClient::on_body(char* data, std::size_t size, std::size_t count, void* transfer) {
  std::string& answer = static_cast<Transfer*>(transfer)->answer;
  answer.append(data, std::min(size * count, kLongestBody - answer.size()));
  return size * count;
}

void HttpClient::post(std::uint64_t request, const std::vector<std::string>& headers,
                      std::string body) {
  auto transfer = std::make_unique<Transfer>();
  Transfer& t = *transfer;
  t.request = request;
  t.body = std::move(body);
  for (const std::string& header : headers) {
    t.headers = ::curl_slist_append(t.headers, header.c_str());
  }
  // Waiting for "100 Continue" would cost a second at servers that do not know it.
  t.headers = ::curl_slist_append(t.headers, "Expect:");
  ::curl_easy_setopt(t.easy, CURLOPT_URL, options_.url.c_str());
  ::curl_easy_setopt(t.easy, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(t.easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(t.easy, CURLOPT_POST, 1L);
  ::curl_easy_setopt(t.easy, CURLOPT_POSTFIELDS, t.body.c_str());
  ::curl_easy_setopt(t.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.body.size()));
  ::curl_easy_setopt(t.easy, CURLOPT_HTTPHEADER, t.headers);
  ::curl_easy_setopt(t.easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeout);
  ::curl_easy_setopt(t.easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout) * 1000);
  ::curl_easy_setopt(t.easy, CURLOPT_WRITEFUNCTION, &HttpClient::on_body);
  ::curl_easy_setopt(t.easy, CURLOPT_WRITEDATA, &t);
  ::curl_easy_setopt(t.easy, CURLOPT_ERRORBUFFER, t.error.data());
  if (!options_.ca_file.empty()) {
    ::curl_easy_setopt(t.easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  }
  ::curl_multi_add_handle(multi_, t.easy);
  transfers_.emplace(t.easy, std::move(transfer));
}

std::vector<HttpClient::Response> HttpClient::collect() {
  int running = 0;
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == timer_.get()) {
      set_timer(-1);  // libcurl sets it anew if it needs it
      ::curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
      continue;
    }
    int what = 0;
    if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    ::curl_multi_socket_action(multi_, event.data.fd, what, &running);
  }
  std::vector<Response> responses;
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode result = message->data.result;
    const auto found = transfers_.find(easy);
    responses.push_back(response(*found->second, result));
    ::curl_multi_remove_handle(multi_, easy);
    transfers_.erase(found);
  }
  return responses;
}

HttpClient::Response HttpClient::response(const Transfer& transfer, CURLcode result) const {
  Response response;
  response.request = transfer.request;
  ::curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &response.status);
  curl_off_t seconds = 0;
  ::curl_easy_getinfo(transfer.easy, CURLINFO_RETRY_AFTER, &seconds);
  response.retry_after = std::clamp<Nanos>(seconds, 0, kLongestRetryAfter / kSecond) * kSecond;
  response.body = transfer.answer;
  if (result != CURLE_OK) {
    response.error =
        transfer.error[0] != '\0' ? transfer.error.data() : ::curl_easy_strerror(result);
  }
  return response;
}

}  // namespace inotifier::forward
