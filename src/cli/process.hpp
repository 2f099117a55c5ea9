// What a process must have before anything else of it runs, whatever started it.
#pragma once

namespace inotifier {

/// Descriptors 0 to 2 are open: a file that took one of them would get what is meant for standard
/// output or the log. Those that are closed become /dev/null, but that writing to standard output
/// fails: nothing may count as printed. A write beyond the limit of file sizes fails with EFBIG, as
/// one to a full disk does.
void prepare_process();

/// Throws SetupError if the limit of open files is so low that ZeroMQ would abort the process.
void check_descriptors();

}  // namespace inotifier
