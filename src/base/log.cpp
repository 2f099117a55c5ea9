#include "base/log.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "base/messages.hpp"

namespace inotifier::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

bool json_lines = false;  // set once, before any thread is started

class MessageSink final : public spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    write_message({line.data(), line.size()});
  }
  void flush_() override {}
};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("inotifier", std::make_shared<MessageSink>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
    return made;
  }();
  return *instance;
}

/// What JSON wants escaped. A log text can hold any byte: a path is part of most of them. Bytes
/// beyond ASCII pass as they are.
std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void set_up(std::string_view level, bool json) {
  const auto chosen = level == "warning" ? std::string("warn") : std::string(level);
  logger().set_level(spdlog::level::from_str(chosen == "error" ? "err" : chosen));
  json_lines = json;
  if (json) {
    logger().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})");
  }
}

bool enabled(Level level) { return logger().should_log(to_spdlog(level)); }

void write(Level level, std::string_view text) {
  // A line end inside a path must not forge a log line of its own.
  if (json_lines || text.find('\n') != std::string_view::npos) {
    logger().log(to_spdlog(level), "{}", escaped(text));
  } else {
    logger().log(to_spdlog(level), "{}", text);
  }
}

}  // namespace inotifier::log
