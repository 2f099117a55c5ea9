#include "cli/questions.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace inotifier {
namespace {

/// Spent once for each question that hangs.
constexpr std::chrono::milliseconds kPatience{500};

}  // namespace

struct Questions::Answer {
  std::mutex mutex;
  std::condition_variable given;
  std::optional<std::string> text;
};

std::optional<std::string> Questions::ask(const std::string& watch, Question question) {
  const auto hanging = hanging_.find(watch);
  if (hanging != hanging_.end()) {
    const std::lock_guard lock(hanging->second->mutex);
    if (!hanging->second->text) return std::nullopt;
  }
  hanging_.erase(watch);
  const auto answer = std::make_shared<Answer>();
  try {
    std::thread([answer, question = std::move(question)] {
      std::string text = question();
      const std::lock_guard lock(answer->mutex);
      answer->text = std::move(text);
      answer->given.notify_one();
    }).detach();
  } catch (const std::system_error&) {
    return std::nullopt;  // no thread for the moment
  }
  std::unique_lock lock(answer->mutex);
  answer->given.wait_for(lock, kPatience, [&] { return answer->text.has_value(); });
  if (!answer->text) hanging_[watch] = answer;
  return answer->text;
}

}  // namespace inotifier
