#include "cli/command.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "inotifier/wire.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace inotifier {
namespace {

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
  return text;
}

/// The whole JSON in a file of its own: a pipe would fill up, or break if nobody reads it.
UniqueFd as_file(const std::string& text) {
  UniqueFd fd(memfd_create("event", MFD_CLOEXEC));
  if (!fd) return fd;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t some = write(fd.get(), text.data() + written, text.size() - written);
    if (some <= 0) break;
    written += static_cast<std::size_t>(some);
  }
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

CommandRunner::CommandRunner(std::vector<std::string> command, int parallel)
    : command_(std::move(command)), parallel_(static_cast<std::size_t>(parallel)) {}

void CommandRunner::add(const Event& event) {
  waiting_.push_back(event);
  start_some();
}

void CommandRunner::start_some() {
  while (running_.size() < parallel_ && !waiting_.empty()) {
    const Event event = std::move(waiting_.front());
    waiting_.pop_front();
    start(event);
  }
}

void CommandRunner::start(const Event& event) {
  std::vector<std::string> arguments;
  for (const std::string& argument : command_) {
    arguments.push_back(
        replaced(replaced(replaced(argument, "{relative_path}", event.relative_path()), "{type}",
                          event.type),
                 "{path}", event.path()));
  }
  std::vector<std::string> variables;
  for (char** at = environ; *at != nullptr; ++at) {
    if (std::strncmp(*at, "INOTIFIER_", 10) != 0) variables.emplace_back(*at);
  }
  variables.push_back("INOTIFIER_PATH=" + event.path());
  variables.push_back("INOTIFIER_TYPE=" + event.type);
  variables.push_back("INOTIFIER_ID=" + event.id);
  variables.push_back("INOTIFIER_WATCH=" + event.watch());

  const UniqueFd input = as_file(to_json(event) + "\n");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  // We block signals and ignore two; the command must start as from a shell.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGIO);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0].c_str(), &actions, &attributes,
                                 pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) {
    running_.insert(pid);
    return;
  }
  ++finished_;
  ++failed_;
  log::error("{}: the command cannot be started", describe("exec", arguments[0], error));
}

void CommandRunner::on_child() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    if (running_.erase(pid) == 0) continue;
    ++finished_;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    ++failed_;
    if (WIFSIGNALED(status)) {
      log::warning("{} was ended by signal {}", command_[0], WTERMSIG(status));
    } else {
      log::warning("{} exited with {}", command_[0], WEXITSTATUS(status));
    }
  }
  start_some();
}

}  // namespace inotifier
