#include "source/queue_marks.hpp"

#include <doctest/doctest.h>

using namespace inotifier;

namespace {

class Queue final : public Notifier {
 public:
  int add_watch(int, std::uint32_t) override { return 1; }
  void remove_watch(int) override {}
  std::uint64_t queued_bytes() override { return bytes; }
  std::uint64_t bytes = 0;
};

}  // namespace

TEST_CASE("queue marks: what was queued when a noted turn ended") {
  Queue queue;
  QueueMarks marks(&queue);
  marks.begin_turn(1);
  CHECK(marks.queued_before_end_of(1, 1000));  // it has not ended
  CHECK_FALSE(marks.caught_up_with(1));
  marks.note_turn();
  queue.bytes = 96;
  marks.end_turn();
  marks.begin_turn(2);
  CHECK(marks.queued_before_end_of(1, 64));
  CHECK_FALSE(marks.queued_before_end_of(1, 96));
  CHECK_FALSE(marks.caught_up_with(1));
  marks.handling(64);
  marks.handled(96);
  CHECK(marks.caught_up_with(1));
  marks.handling(96);
  CHECK_FALSE(marks.queued_before_end_of(1, 96));
}

TEST_CASE("queue marks: a turn that nobody noted is not remembered") {
  Queue queue;
  queue.bytes = 96;
  QueueMarks marks(&queue);
  marks.begin_turn(1);
  marks.end_turn();
  marks.begin_turn(2);
  CHECK_FALSE(marks.queued_before_end_of(1, 0));
  CHECK(marks.caught_up_with(1));
}

TEST_CASE("queue marks: without a queue there is nothing to catch up with") {
  QueueMarks marks(nullptr);
  marks.begin_turn(1);
  CHECK(marks.caught_up_with(1));
}
