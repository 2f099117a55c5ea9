#include "forward/settings.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/error.hpp"
#include "forward/brokers.hpp"
#include "forward/progress.hpp"

using namespace inotifier;
using namespace inotifier::forward;

TEST_CASE("settings: the scheme of --to, and no password in it") {
  CHECK(scheme_of("https://hooks.example/a@b:c") == "https");
  CHECK(scheme_of("nats://user@host:4222") == "nats");
  CHECK_THROWS_AS(scheme_of("hooks.example/files"), UsageError);
  CHECK_THROWS_AS(scheme_of("://host"), UsageError);
  CHECK_THROWS_WITH_AS(scheme_of("nats://user:secret@host:4222"),
                       doctest::Contains("--password-file"), UsageError);
  CHECK_THROWS_WITH_AS(broker_kind("gopher"), doctest::Contains("known are https://, nats://"),
                       UsageError);
}

TEST_CASE("settings: a secret comes from the file, else from the environment") {
  const std::string file = "/tmp/inotifier-forward-secret-" + std::to_string(::getpid());
  ::setenv("INOTIFIER_FORWARD_TEST", "of the environment", 1);
  CHECK(read_secret("", "INOTIFIER_FORWARD_TEST") == "of the environment");
  CHECK(read_secret("", "INOTIFIER_FORWARD_OTHER").empty());
  std::ofstream(file) << "of the file\r\nsecond line\n";
  CHECK(read_secret(file, "INOTIFIER_FORWARD_TEST") == "of the file");
  std::ofstream(file) << "\n";
  CHECK_THROWS_AS(read_secret(file, "INOTIFIER_FORWARD_TEST"), SetupError);
  std::remove(file.c_str());
  CHECK_THROWS_WITH_AS(read_secret(file, "INOTIFIER_FORWARD_TEST"), doctest::Contains("ENOENT"),
                       SetupError);
}

TEST_CASE("progress: the line") {
  CHECK(progress_text({1234, 0, 57, 3 * kSecond}, 210.4) ==
        "1234 sent, 210/s, 57 in flight, lag 3 s");
  CHECK(progress_text({1, 2, 0, 0}, 0) == "1 sent, 0/s, 0 in flight, lag 0 s, 2 failed");
}
