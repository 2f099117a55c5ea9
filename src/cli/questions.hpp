// Questions about files that may never be answered: a volume whose server is dead, an automount, an
// on-access scanner. Owned by the subcommand; one thread asks, others wait.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace inotifier {

/// Each watch has one question under way at most, so that one that hangs costs one thread and
/// delays only its own watch. The process can end at any time.
class Questions {
 public:
  using Question = std::function<std::string()>;  ///< copies all it needs, for it may outlive us
  /// The answer; nothing if there is none soon, or if an earlier question of that watch hangs.
  std::optional<std::string> ask(const std::string& watch, Question question);

 private:
  struct Answer;
  std::map<std::string, std::shared_ptr<Answer>> hanging_;
};

}  // namespace inotifier
