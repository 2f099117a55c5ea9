// What one core makes of completed files: raw records -> step() -> journal COMMIT -> PUB, over the
// file system in memory, so that neither the kernel nor a disk of files is measured.
//
//   step_bench JOURNAL_DIRECTORY [FILES]
//
// Prints one line for each way: name, files, seconds of processor time spent in step() by its
// thread (what else the machine does does not count), files a second, seconds by the clock.
#include <fmt/core.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "base/clock.hpp"
#include "daemon/pipeline.hpp"
#include "journal/journal.hpp"
#include "serve/publisher.hpp"
#include "support/fake_fs.hpp"
#include "support/fake_notifier.hpp"

namespace inotifier::testing {
namespace {

constexpr int kFilesPerDirectory = 1000;
// What the daemon takes at once: 32 KiB of records.
constexpr std::size_t kRecordsPerTurn = 1000;

struct Spent {
  Nanos cpu = 0;
  Nanos clock = 0;
};

Nanos thread_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

Spent measure(const std::string& journal, bool publish, bool by_rename, int files) {
  FakeFs fs((FakeOptions()));
  Now now{1'000'000'000'000, 1'700'000'000'000'000'000};
  fs.set_time(now);
  fs.make_directory("/w");
  JournalOptions options;
  options.path = journal;
  options.daemon_name = "bench";
  Journal log(options, now);
  zmq::context_t context;
  zmq::socket_t subscriber(context, zmq::socket_type::sub);
  std::unique_ptr<Publisher> publisher;
  std::int64_t published = 0;
  if (publish) {
    publisher = std::make_unique<Publisher>(
        context, std::vector<std::string>{"ipc://" + journal + ".sock"}, 100'000, nullptr);
    subscriber.set(zmq::sockopt::subscribe, "");
    subscriber.connect("ipc://" + journal + ".sock");
  }
  Pipeline pipeline(fs, log, [&](std::string_view topic, std::string_view body) {
    if (publisher) publisher->publish(topic, body);
    if (topic == "file.completed/w/") ++published;
  });
  FakeNotifier notifier(fs, IN_ONLYDIR | IN_EXCL_UNLINK);
  notifier.limit(1'000'000);
  WatchConfig config;
  config.name = "w";
  config.path = "/w";
  config.events = default_events("completed");
  config.temporary = kDefaultTemporary;
  config.exclude = kDefaultExclude;
  pipeline.add_watch(config, &pipeline.add_instance(0, notifier));

  Spent spent;
  const auto turn = [&] {
    const std::uint64_t position = notifier.position();
    const std::vector<std::byte> records = notifier.read(kRecordsPerTurn);
    const Input input{0, position, records};
    const Nanos begin = read_clocks().mono;
    const Nanos cpu_begin = thread_time();
    const bool more = pipeline.step(now, {&input, 1});
    spent.cpu += thread_time() - cpu_begin;
    spent.clock += read_clocks().mono - begin;
    now.mono += kMillisecond;
    now.wall += kMillisecond;
    fs.set_time(now);
    return more || !notifier.is_empty();
  };
  while (turn()) {
  }
  spent = {};
  std::string path;
  for (int made = 0; made < files;) {
    const std::string directory = "/w/d" + std::to_string(made / kFilesPerDirectory);
    fs.make_directory(directory);
    while (turn()) {
    }
    for (int i = 0; i < kFilesPerDirectory; ++i, ++made) {
      path = directory + "/1.2.840.113619.2.55." + std::to_string(made);
      OpenMode mode;
      mode.create = true;
      const int handle = fs.open_file(by_rename ? path + ".part" : path, mode);
      fs.put(handle, 1);
      fs.close_file(handle);
      if (by_rename) fs.rename(path + ".part", path, false);
    }
    while (turn()) {
    }
    // Whatever comes is read, as a subscriber that keeps up would.
    zmq::message_t message;
    while (publish && subscriber.recv(message, zmq::recv_flags::dontwait)) {
    }
  }
  for (int i = 0; i < 100; ++i) turn();
  if (published != files) {
    fmt::print(stderr, "{} of {} files were published\n", published, files);
    std::exit(1);
  }
  return spent;
}

void report(const char* name, int files, Spent spent) {
  const auto seconds = [](Nanos time) {
    return static_cast<double>(time) / static_cast<double>(kSecond);
  };
  fmt::print("{}\t{}\t{:.3f}\t{:.0f}\t{:.3f}\n", name, files, seconds(spent.cpu),
             files / seconds(spent.cpu), seconds(spent.clock));
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: step_bench JOURNAL_DIRECTORY [FILES]\n");
    return 2;
  }
  const int files = argc > 2 ? std::atoi(argv[2]) : 200'000;
  const std::filesystem::path directory =
      std::filesystem::path(argv[1]) / ("step-bench-" + std::to_string(::getpid()));
  std::filesystem::create_directories(directory);
  auto journal = [&, number = 0]() mutable {
    return (directory / ("journal" + std::to_string(number++))).string();
  };
  report("decide only", files, measure("", false, false, files));
  report("journal", files, measure(journal(), false, false, files));
  report("journal and publish", files, measure(journal(), true, false, files));
  report("journal and publish, .part renamed", files, measure(journal(), true, true, files));
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace inotifier::testing

int main(int argc, char** argv) { return inotifier::testing::run(argc, argv); }
