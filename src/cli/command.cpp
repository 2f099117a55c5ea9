#include "cli/command.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/load.hpp"
#include "inotifier/wire.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace inotifier {
namespace {

/// Between TERM and KILL.
constexpr Nanos kGrace = 5'000'000'000;

/// Goes over the template alone: what a file name holds is never substituted.
std::string substituted(std::string_view pattern, const Event& event) {
  std::string out;
  while (!pattern.empty()) {
    const auto take = [&](std::string_view field) {
      const bool is_it = pattern.starts_with(field);
      if (is_it) pattern.remove_prefix(field.size());
      return is_it;
    };
    if (take("{path}")) {
      out += event.path();
    } else if (take("{relative_path}")) {
      out += event.relative_path();
    } else if (take("{type}")) {
      out += event.type;
    } else {
      out += pattern[0];
      pattern.remove_prefix(1);
    }
  }
  return out;
}

/// The whole JSON in a file of its own: a pipe would fill up, or break if nobody reads it. Without
/// a descriptor errno tells why.
UniqueFd as_file(std::string_view text) {
  UniqueFd fd(memfd_create("event", MFD_CLOEXEC));
  while (fd && !text.empty()) {
    const ssize_t some = write(fd.get(), text.data(), text.size());
    if (some < 0) return UniqueFd();
    text.remove_prefix(static_cast<std::size_t>(some));
  }
  if (fd) lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Jobs::Jobs(std::vector<std::string> command, Options options)
    : command_(std::move(command)), options_(options) {}

int Jobs::start(std::int64_t number, const Event& event, Nanos now) {
  std::vector<std::string> arguments;
  for (const std::string& argument : command_) {
    arguments.push_back(substituted(argument, event));
  }
  std::vector<std::string> variables;
  for (char** at = environ; *at != nullptr; ++at) {
    if (std::strncmp(*at, "INOTIFIER_", 10) != 0) variables.emplace_back(*at);
  }
  variables.push_back("INOTIFIER_PATH=" + event.path());
  variables.push_back("INOTIFIER_TYPE=" + event.type);
  variables.push_back("INOTIFIER_ID=" + event.id);
  variables.push_back("INOTIFIER_WATCH=" + event.watch());

  // It would end there, and name another file. No file has such a name.
  if (std::any_of(arguments.begin(), arguments.end(), has_nul) ||
      std::any_of(variables.begin(), variables.end(), has_nul)) {
    return EINVAL;
  }

  const UniqueFd input = as_file(to_json(event) + "\n");
  if (!input) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  // Signals are blocked here, and some ignored; the command must start as from a shell.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGIO);
  sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              (options_.own_group ? POSIX_SPAWN_SETPGROUP : 0)));

  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0].c_str(), &actions, &attributes,
                                 pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return error;
  Job job;
  job.number = number;
  if (options_.timeout > 0) job.end = now + options_.timeout;
  running_[pid] = job;
  return 0;
}

void Jobs::signal(pid_t pid, int number) const { ::kill(options_.own_group ? -pid : pid, number); }

void Jobs::terminate(pid_t pid, Job& job, Nanos now) const {
  if (job.kill != 0) return;
  signal(pid, SIGTERM);
  job.kill = now + kGrace;
}

std::vector<Jobs::Ended> Jobs::collect(Nanos now) {
  std::vector<Ended> ended;
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const auto found = running_.find(pid);
    if (found == running_.end()) continue;
    const Job& job = found->second;
    ended.push_back({job.number, status, job.timed_out, job.stopped});
    // Its number is not given to another process as long as the group has one.
    if (job.kill != 0 && options_.own_group && ::kill(-pid, 0) == 0) {
      left_over_[pid] = std::max(job.kill, now);
    }
    running_.erase(found);
  }
  return ended;
}

void Jobs::enforce(Nanos now) {
  for (auto& [pid, job] : running_) {
    if (job.kill != 0 && now >= job.kill) {
      signal(pid, SIGKILL);
      job.kill = now + kGrace;
    } else if (job.end != 0 && now >= job.end && job.kill == 0) {
      job.timed_out = true;
      terminate(pid, job, now);
    }
  }
  for (auto at = left_over_.begin(); at != left_over_.end();) {
    if (now < at->second) {
      ++at;
      continue;
    }
    ::kill(-at->first, SIGKILL);
    at = left_over_.erase(at);
  }
}

std::optional<Nanos> Jobs::deadline() const {
  std::optional<Nanos> first;
  const auto at_the_latest = [&](Nanos time) {
    if (!first || time < *first) first = time;
  };
  for (const auto& [pid, job] : running_) {
    if (job.kill != 0) {
      at_the_latest(job.kill);
    } else if (job.end != 0) {
      at_the_latest(job.end);
    }
  }
  for (const auto& [pid, time] : left_over_) at_the_latest(time);
  return first;
}

void Jobs::end_all(Nanos now) {
  for (auto& [pid, job] : running_) {
    job.stopped = true;
    terminate(pid, job, now);
  }
}

std::string reason_of(const Jobs::Ended& ended, Nanos timeout) {
  if (ended.timed_out) return fmt::format("timed out after {}", duration_text(timeout));
  if (WIFSIGNALED(ended.status)) return fmt::format("signal {}", WTERMSIG(ended.status));
  const int code = WEXITSTATUS(ended.status);
  return code == 0 ? std::string() : fmt::format("exit {}", code);
}

CommandRunner::CommandRunner(std::vector<std::string> command, int parallel)
    : jobs_(std::move(command), {}), parallel_(static_cast<std::size_t>(parallel)) {}

void CommandRunner::add(const Event& event) {
  waiting_.push_back(event);
  start_some();
}

void CommandRunner::start_some() {
  while (jobs_.running() < parallel_ && !waiting_.empty()) {
    const Event event = std::move(waiting_.front());
    waiting_.pop_front();
    const int error = jobs_.start(0, event, 0);
    if (error == 0) continue;
    ++finished_;
    ++failed_;
    log::error("{}: the command cannot be started", describe("exec", jobs_.name(), error));
  }
}

void CommandRunner::on_child() {
  for (const Jobs::Ended& ended : jobs_.collect(0)) {
    ++finished_;
    if (WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 0) continue;
    ++failed_;
    if (WIFSIGNALED(ended.status)) {
      log::warning("{} was ended by signal {}", jobs_.name(), WTERMSIG(ended.status));
    } else {
      log::warning("{} exited with {}", jobs_.name(), WEXITSTATUS(ended.status));
    }
  }
  start_some();
}

}  // namespace inotifier
