#include "forward/command_line.hpp"

int main(int argc, char** argv) { return inotifier::forward::run_command_line(argc, argv); }
