#include "cli/consume_work.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/messages.hpp"
#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"

namespace inotifier {
namespace {

using std::chrono::milliseconds;

/// Running commands at the end, if there is no --job-timeout.
constexpr Nanos kDrain = 30 * kSecond;
constexpr milliseconds kFlush{5000};
/// Between two looks whether a root is there.
constexpr Nanos kLongestHold = 30 * kSecond;

/// True if what the event tells of is there no more, so that its file is gone or a later event
/// follows. A later mtime alone proves nothing: `cp -p` and others set the times after the file is
/// complete, which no event tells; nor does another inode, which a mount elsewhere may show.
bool is_outdated(const Event& event) {
  if (event.type != "file.completed" || event.path().find('\0') != std::string::npos) return false;
  struct stat there {};
  if (::lstat(event.path().c_str(), &there) != 0) return errno == ENOENT || errno == ENOTDIR;
  if (event.size() >= 0 && event.size() != there.st_size) return true;
  const Value* inode = event.data.find("inode");
  const Value* mtime = event.data.find("mtime");
  if (inode == nullptr || inode->text() == nullptr || mtime == nullptr ||
      mtime->text() == nullptr) {
    return false;
  }
  return *inode->text() != std::to_string(there.st_ino) &&
         *mtime->text() != rfc3339(there.st_mtim.tv_sec, there.st_mtim.tv_nsec);
}

}  // namespace

Working::Working(const ConsumeArguments& arguments)
    : arguments_(arguments),
      jobs_(arguments.command, {arguments.job_timeout, true}),
      session_(arguments),
      waiting_(arguments.retry_delay),
      watched_roots_(arguments.connection) {
  // Those that run go on, what they come to counts no more; those that wait come again.
  session_.on_reset = [this] {
    waiting_.clear();
    held_.clear();
  };
}

int Working::run() {
  last_event_ = mono();
  int result = 0;
  bool refused = false;
  const auto end_work = [&](const std::exception& error) {
    print_message("inotifier: {}\n", error.what());
    stop();
    drain_without_daemon();
    result = 1;
  };
  try {
    result = work();
  } catch (const RequestError& error) {
    end_work(error);
  } catch (const ConnectionError& error) {
    end_work(error);
    refused = true;  // the key was taken away: there is nobody to tell
  }
  if (!refused && !session_.consumer->flush(kFlush) && result == 0 && !stopping_) result = 1;
  jobs_.enforce(std::numeric_limits<Nanos>::max());  // what a job left behind after its time
  // From cron, with nothing to do, there is nothing to say.
  if (!arguments_.until_empty || result != 0 || done_ + failed_ + skipped_ > 0) {
    print_message("inotifier: {} done, {} failed, {} skipped\n", done_, failed_, skipped_);
  }
  return result;
}

int Working::work() {
  Consumer& consumer = *session_.consumer;
  for (;;) {
    handle_signals();
    const Nanos now = mono();
    for (const Jobs::Ended& ended : jobs_.collect(now)) finish(ended, now);
    jobs_.enforce(now);
    if (stopping_) {
      if (now >= stop_until_) jobs_.end_all(now);
      if (jobs_.running() == 0) return 0;
      consumer.keep_alive(pause(now));
      continue;
    }
    start_waiting(now);
    const bool idle = jobs_.running() == 0 && waiting_.empty();
    if (enough() && idle && held_.empty()) return failed_ > 0 ? 1 : 0;
    if (arguments_.output.timeout > 0 && idle && now - last_event_ >= arguments_.output.timeout) {
      return 3;
    }
    if (!has_room() || enough()) {
      consumer.keep_alive(pause(now));
      continue;
    }
    if (auto event = consumer.next(pause(now))) {
      last_event_ = now;
      ++taken_;
      session_.roots.apply(*event);
      begin({std::move(*event), 0}, now);
    } else if (arguments_.until_empty && consumer.caught_up()) {
      return failed_ > 0 ? 1 : 0;
    } else if (session_.standby_ends() && idle) {
      return 0;
    } else if (arguments_.until_empty && idle && !held_.empty() && consumer.in_hand() == 0) {
      return 1;  // nothing but what is held: it comes again
    }
  }
}

void Working::handle_signals() {
  for (int left = session_.signals.stops(); left > 0; --left) {
    if (stopping_) {
      jobs_.end_all(mono());
      continue;
    }
    stop();
    if (jobs_.running() > 0) {
      print_message("inotifier: waiting for {} running; once more ends them\n", jobs_.running());
    }
  }
}

void Working::stop() {
  stopping_ = true;
  waiting_.clear();  // they come again
  held_.clear();
  stop_until_ = mono() + (arguments_.job_timeout > 0 ? arguments_.job_timeout : kDrain);
}

void Working::drain_without_daemon() {
  while (jobs_.running() > 0) {
    handle_signals();
    const Nanos now = mono();
    for (const Jobs::Ended& ended : jobs_.collect(now)) running_.erase(ended.number);
    jobs_.enforce(now);
    if (now >= stop_until_) jobs_.end_all(now);
    if (jobs_.running() == 0) return;
    pollfd item{session_.signals.fd(), POLLIN, 0};
    ::poll(&item, 1, static_cast<int>(pause(now).count()));
  }
}

milliseconds Working::pause(Nanos now) const {
  Nanos next = std::numeric_limits<Nanos>::max();
  if (const auto deadline = jobs_.deadline()) next = std::min(next, *deadline);
  if (stopping_) {
    next = std::min(next, std::max(stop_until_, now + kSecond));
  } else {
    for (const auto* schedule : {&waiting_, &held_}) {
      if (!schedule->empty() && has_room()) next = std::min(next, schedule->next());
    }
    if (arguments_.output.timeout > 0) {
      next = std::min(next, std::max(last_event_ + arguments_.output.timeout, now + kMillisecond));
    }
  }
  return next == std::numeric_limits<Nanos>::max() ? kLongestWait : until(next, now);
}

void Working::start_waiting(Nanos now) {
  while (has_room()) {
    auto work = waiting_.take(now);
    if (!work) work = held_.take(now);
    if (!work) return;
    begin(std::move(*work), now);
  }
}

Working::Presence Working::look_for(const Event& event, Nanos now, std::string& why) {
  if (event.type != "file.completed") return Presence::kThere;
  const auto no_answer = [&] {
    why = fmt::format("lstat {}: the volume does not answer", visible(event.path()));
    return Presence::kHeld;
  };
  const auto found = questions_.ask(
      event.watch(), [event] { return std::string(is_outdated(event) ? "outdated" : ""); });
  if (!found) return no_answer();
  if (found->empty()) return Presence::kThere;
  auto places = watched_roots_.places_of(event, now);
  // Nobody can tell, and nothing follows: the command is run, and fails if the file is gone.
  if (places.places.empty() && !places.is_watched) return Presence::kThere;
  const auto doubt = questions_.ask(event.watch(), [places = std::move(places.places)] {
    return WatchedRoots::doubt_of(places);
  });
  if (!doubt) return no_answer();
  why = doubt->empty() ? places.doubt : *doubt;
  return why.empty() ? Presence::kGone : Presence::kHeld;
}

void Working::begin(Work work, Nanos now) {
  std::string why;
  const auto presence =
      arguments_.missing == "skip" ? look_for(work.event, now, why) : Presence::kThere;
  if (presence == Presence::kHeld) return hold(std::move(work), why, now);
  if (presence == Presence::kGone) {
    ++skipped_;
    session_.consumer->done(work.event);
    return;
  }
  const std::int64_t number = ++last_number_;
  const int error = jobs_.start(number, work.event, now);
  if (error == 0) {
    running_.emplace(number, std::move(work));
  } else if (error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
             error == ENOSPC || error == EFBIG) {
    // Not the event's fault; it does not count as a try.
    print_message("inotifier: {}; trying again\n", describe("exec", jobs_.name(), error));
    waiting_.add(now + std::max(arguments_.retry_delay, kSecond), std::move(work));
  } else {
    ++work.tries;
    failed_once(std::move(work), describe("exec", jobs_.name(), error), now);
  }
}

void Working::finish(const Jobs::Ended& ended, Nanos now) {
  const auto found = running_.find(ended.number);
  if (found == running_.end()) return;
  Work work = std::move(found->second);
  running_.erase(found);
  const std::string reason = reason_of(ended, arguments_.job_timeout);
  // Whatever its exit code: one that takes TERM for its end exits with 0, and comes again.
  if (ended.stopped) return;
  if (reason.empty()) {
    ++done_;
    session_.consumer->done(work.event);
    return;
  }
  ++work.tries;
  failed_once(std::move(work), reason, now);
}

void Working::hold(Work work, const std::string& doubt, Nanos now) {
  if (doubt != last_doubt_) {
    print_message("inotifier: {}: events of {} are held until it is there\n", doubt,
                  visible(work.event.watch()));
    last_doubt_ = doubt;
  }
  ++work.holds;
  const Nanos delay = std::min(held_.delay_after(work.holds), kLongestHold);
  held_.add(now + delay, std::move(work));
}

void Working::failed_once(Work work, const std::string& reason, Nanos now) {
  const std::string what = visible(work.event.path().empty() ? work.event.type : work.event.path());
  if (work.tries >= arguments_.max_tries) {
    ++failed_;
    print_message("inotifier: {}: {} (try {}); kept as failed\n", what, reason, work.tries);
    session_.consumer->fail(work.event, reason, work.tries);
    return;
  }
  if (stopping_) {
    print_message("inotifier: {}: {} (try {})\n", what, reason, work.tries);
    return;
  }
  const Nanos delay = waiting_.delay_after(work.tries);
  print_message("inotifier: {}: {} (try {}); again in {}\n", what, reason, work.tries,
                duration_text(delay));
  waiting_.add(now + delay, std::move(work));
}

}  // namespace inotifier
