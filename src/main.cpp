#include <csignal>

#include "cli/arguments.hpp"

int main(int argc, char** argv) {
  // A write beyond the limit of file sizes fails with EFBIG then, as one to a full disk does.
  std::signal(SIGXFSZ, SIG_IGN);
  return inotifier::run_command_line(argc, argv);
}
