#include "base/fallback_directory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/sandbox.hpp"

using namespace inotifier;

TEST_CASE("a fallback directory is trusted only if it is ours and closed to others") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  const std::string path = sandbox.path() + "/d";
  CHECK(why_not_ours(path).find("ENOENT") != std::string::npos);
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK(why_not_ours(path).empty());
  REQUIRE(::chmod(path.c_str(), 0777) == 0);
  CHECK(why_not_ours(path).find("others may write") != std::string::npos);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  std::filesystem::create_symlink(path, sandbox.path() + "/link");
  CHECK(why_not_ours(sandbox.path() + "/link").find("symbolic link") != std::string::npos);
  if (::geteuid() != 0) return;
  REQUIRE(::chown(path.c_str(), 612'345, static_cast<gid_t>(-1)) == 0);
  CHECK(why_not_ours(path).find("612345") != std::string::npos);
}
