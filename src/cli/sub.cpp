// inotifier sub: listens live and prints; --since reads back from the journal first.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/messages.hpp"
#include "base/signals.hpp"
#include "cli/arguments.hpp"
#include "cli/moment.hpp"
#include "cli/output.hpp"
#include "cli/roots.hpp"
#include "inotifier/client.hpp"

namespace inotifier {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A signal that comes between the look at `stopped` and poll(2) does not interrupt the latter; the
/// next look is at most this far away.
constexpr milliseconds kLongestWait{1000};
/// How long a reading back waits for more at its end, while the subscription takes effect.
constexpr double kReadWait = 0.2;
constexpr int kReadLimit = 4096;

volatile std::sig_atomic_t stopped = 0;

void on_signal(int /*number*/) { stopped = 1; }

/// TERM, INT and HUP interrupt next() instead of ending the process; a reader that goes away shows
/// as EPIPE.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // without SA_RESTART
  ::sigaction(SIGTERM, &action, nullptr);
  for (const int number : {SIGINT, SIGHUP}) {
    if (!is_ignored(number)) ::sigaction(number, &action, nullptr);
  }
  ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
}

void print_gap(const Gap& gap) {
  print_message("inotifier: gap: events of {} after {} up to {} did not arrive\n",
                visible(gap.topic), gap.after, gap.until);
}

struct SubArguments {
  std::vector<std::string> types;
  std::vector<std::string> watches;
  Connection connection;       ///< to the publisher
  std::string fetch_endpoint;  ///< for `since`
  std::string since;           ///< a position of the journal to read from first; "" = none
  bool until_empty = false;    ///< with `since`: stop when there is nothing more
  OutputOptions output;
};

class Listening {
 public:
  explicit Listening(const SubArguments& arguments)
      : arguments_(arguments), output_(arguments.output), printer_(arguments.output, stdout) {}

  int run() {
    std::optional<JournalPoint> point;
    if (!arguments_.since.empty())
      point = parse_journal_point(arguments_.since, read_clocks().wall);
    catch_signals();
    std::optional<Requester> requester;
    if (point) {
      Connection connection = arguments_.connection;
      connection.endpoint = arguments_.fetch_endpoint;
      requester.emplace(connection);
    } else {
      subscribe();
    }
    patience_ =
        std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(output_.timeout));
    last_ = Clock::now();
    if (point) read_back(*requester, *point);
    while (!result_) listen();
    return *result_;
  }

 private:
  void subscribe() {
    Subscriber::Options options;
    static_cast<Connection&>(options) = arguments_.connection;
    options.types = arguments_.types;
    options.watches = arguments_.watches;
    options.on_gap = print_gap;
    subscriber_.emplace(std::move(options));
  }

  /// Prints what the journal has, from `point` on, until the subscription is in effect and all that
  /// came before that was read. Then what is published arrives live, and `told_` tells which of it
  /// was told already. The subscription is made late: what arrives during a long reading would
  /// only fill its queue.
  void read_back(Requester& requester, const JournalPoint& point) {
    Value::Map filters{{"limit", kReadLimit}};
    const auto add = [&](std::string_view key, const std::vector<std::string>& names) {
      if (!names.empty()) filters.emplace_back(key, Value::Array(names.begin(), names.end()));
    };
    add("types", arguments_.types);
    add("watches", arguments_.watches);
    Value::Map from = beginning(requester, point);
    bool live = false;
    bool last_round = false;
    while (!result_) {
      Value::Map request = filters;
      request.insert(request.end(), from.begin(), from.end());
      // Only at the end of what is there something is waited for.
      request.emplace_back("wait", subscriber_ && !live ? kReadWait : 0.0);
      const auto page = requester.read(request);
      for (const Event& event : page.events) {
        if (!take(event)) return;
      }
      told_ = std::max(told_, page.cursor);
      from = {{"after", page.cursor}, {"stream", page.stream}};
      check_time();
      if (!page.events.empty() || page.behind > 0) continue;
      if (arguments_.until_empty) {
        result_ = 0;
        return;
      }
      if (last_round) return;
      if (!subscriber_) subscribe();
      if (held_.empty()) {
        if (auto event = subscriber_->next(milliseconds(0))) held_.push_back(std::move(*event));
      }
      live = subscriber_->live();
      last_round = live;  // whatever was published before that moment is in the journal now
    }
  }

  /// Arguments of the first fetch.
  Value::Map beginning(Requester& requester, const JournalPoint& point) {
    if (point.kind == JournalPoint::Kind::kTime) return {{"since", point.text}};
    if (point.kind == JournalPoint::Kind::kStart) return {{"after", "0"}};
    const Value& hello = requester.hello();
    const Value* stream = hello.find("stream");
    const Value* last = hello.find("last");
    const Value nothing;
    return {{"after", point.kind == JournalPoint::Kind::kPosition ? Value(point.text)
                      : last == nullptr                           ? Value("0")
                                                                  : *last},
            {"stream", stream == nullptr ? nothing : *stream}};
  }

  void listen() {
    check_time();
    if (result_) return;
    std::optional<Event> event;
    if (!held_.empty()) {
      event = std::move(held_.front());
      held_.clear();
    } else {
      auto wait = kLongestWait;
      if (output_.timeout > 0) {
        wait = std::min(wait, std::chrono::ceil<milliseconds>(last_ + patience_ - Clock::now()));
      }
      event = subscriber_->next(std::max(wait, milliseconds(0)));
    }
    if (!event || (!told_.empty() && event->sequence <= told_)) return;
    take(*event);
  }

  /// False if it is over.
  bool take(Event event) {
    roots_.apply(event);
    if (printer_.shows(event)) {
      if (!printer_.print(event)) {
        result_ = 0;
      } else {
        last_ = Clock::now();
        if (++printed_ == output_.count) result_ = 0;
      }
    }
    if (stopped != 0) result_ = 0;
    return !result_;
  }

  void check_time() {
    if (stopped != 0 || printer_.reader_is_gone()) {
      result_ = 0;
    } else if (output_.timeout > 0 && Clock::now() - last_ >= patience_) {
      result_ = 3;
    }
  }

  const SubArguments& arguments_;
  const OutputOptions& output_;
  Printer printer_;
  Roots roots_{std::getenv("INOTIFIER_ROOTS")};
  std::optional<Subscriber> subscriber_;
  std::vector<Event> held_;  // live, received while still reading back; one at most
  std::string told_;         // position up to which everything was read back; "" = nothing
  Clock::duration patience_{};
  Clock::time_point last_{};
  std::int64_t printed_ = 0;
  std::optional<int> result_;
};

int run_sub(const SubArguments& arguments) {
  if (arguments.until_empty && arguments.since.empty()) {
    throw UsageError("--until-empty: what is published has no end; it goes with --since");
  }
  Listening listening(arguments);
  check_types(arguments.types);
  try {
    return listening.run();
  } catch (const ConnectionError& error) {
    print_message("inotifier: {}\n", error.what());
  } catch (const RequestError& error) {
    print_message("inotifier: {}\n", error.what());
  }
  return 1;
}

void describe_sub(Options& options, SubArguments& sub) {
  options.words("TYPE", sub.types, "event types, such as file.completed; none = all");
  options.repeated("--watch", sub.watches, "only of this watch; may be given several times");
  options.text("--since", sub.since,
               "first read back from there: a duration (1h), a time, a position, start");
  options.flag("--until-empty", sub.until_empty,
               "with --since: stop when all that was published so far is printed");
  options.connection(sub.connection, "where the daemon publishes (ipc://... tcp://...)");
  options.text("--fetch-endpoint", sub.fetch_endpoint, "where to read back from");
  options.output(sub.output);
}

}  // namespace

Subcommand sub_command() {
  return subcommand<SubArguments>("sub", "listen to a running daemon and print", describe_sub,
                                  run_sub);
}

}  // namespace inotifier
