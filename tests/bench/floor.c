// The barest loop a C programmer would write for one flat directory: inotify, and a PUB message
// for each file that was renamed or closed after writing, without state, journal or check. What
// the daemon's cost per file is compared with. Usage: floor ENDPOINT DIR
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <zmq.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* context = zmq_ctx_new();
  void* publisher = zmq_socket(context, ZMQ_PUB);
  int unlimited = 0;
  zmq_setsockopt(publisher, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  if (zmq_bind(publisher, argv[1]) != 0) return 1;
  int queue = inotify_init1(IN_CLOEXEC);
  if (inotify_add_watch(queue, argv[2], IN_CLOSE_WRITE | IN_MOVED_TO) < 0) return 1;
  static char bytes[64 * 1024] __attribute__((aligned(8)));
  char path[PATH_MAX];
  for (;;) {
    ssize_t got = read(queue, bytes, sizeof bytes);
    if (got <= 0) return 1;
    for (char* at = bytes; at < bytes + got;) {
      const struct inotify_event* event = (const struct inotify_event*)at;
      at += sizeof *event + event->len;
      if (event->len == 0) continue;
      const size_t length = strlen(event->name);
      if (length > 5 && strcmp(event->name + length - 5, ".part") == 0) continue;
      const int used = snprintf(path, sizeof path, "%s/%s", argv[2], event->name);
      zmq_send(publisher, "floor", 5, ZMQ_SNDMORE);
      zmq_send(publisher, path, (size_t)used, 0);
    }
  }
}
