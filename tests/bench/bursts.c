// Makes COUNT files in DIR, each as NAME.part that is then renamed: BURST at a time, a burst every
// MILLISECONDS. Usage: bursts DIR COUNT BURST MILLISECONDS. Names carry the time (monotonic
// nanoseconds) at which the rename began.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 5 || chdir(argv[1]) != 0) return 2;
  const long count = atol(argv[2]), burst = atol(argv[3]), wait = atol(argv[4]);
  const long long start = now();
  for (long i = 0; i < count; ++i) {
    if (i % burst == 0) {
      const long long due = start + i / burst * wait * 1000000LL;
      const struct timespec until = {due / 1000000000LL, due % 1000000000LL};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    char part[64], name[64];
    snprintf(part, sizeof part, "%ld.part", i);
    const int fd = open(part, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (fd < 0 || write(fd, "content\n", 8) != 8 || close(fd) != 0) return 1;
    snprintf(name, sizeof name, "%ld-%lld", i, now());
    if (rename(part, name) != 0) return 1;
  }
  return 0;
}
