#include "cli/arguments.hpp"

int main(int argc, char** argv) { return inotifier::run_command_line(argc, argv); }
