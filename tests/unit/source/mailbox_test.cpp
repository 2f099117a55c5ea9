#include "source/mailbox.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <vector>

using namespace inotifier;

namespace {

bool is_readable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

void push(Mailbox& mailbox, std::size_t instance, std::size_t bytes) {
  Mailbox::Chunk chunk = mailbox.fresh();
  chunk.instance = instance;
  chunk.bytes.resize(bytes);
  mailbox.push(std::move(chunk));
}

}  // namespace

TEST_CASE("mailbox: chunks come in order, about so many bytes at a time") {
  Mailbox mailbox(1000);
  mailbox.add_instance();
  mailbox.add_instance();
  CHECK_FALSE(is_readable(mailbox.filled_fd()));
  for (const std::size_t instance : {0U, 1U, 0U}) push(mailbox, instance, 100);
  CHECK(is_readable(mailbox.filled_fd()));
  std::vector<Mailbox::Chunk> chunks;
  mailbox.take(chunks, 150);
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].instance == 0);
  CHECK(chunks[1].instance == 1);
  CHECK_FALSE(mailbox.empty());
  CHECK(is_readable(mailbox.filled_fd()));
  mailbox.take(chunks, 150);
  CHECK(chunks.size() == 1);
  CHECK(mailbox.empty());
  CHECK_FALSE(is_readable(mailbox.filled_fd()));
}

TEST_CASE("mailbox: the share of an instance is its own, and room in a full one is told") {
  Mailbox mailbox(1000);
  mailbox.add_instance();
  mailbox.add_instance();
  push(mailbox, 0, 999);
  CHECK_FALSE(mailbox.is_full(0));
  push(mailbox, 0, 1);
  CHECK(mailbox.is_full(0));
  CHECK_FALSE(mailbox.is_full(1));
  CHECK_FALSE(is_readable(mailbox.room_fd()));
  std::vector<Mailbox::Chunk> chunks;
  mailbox.take(chunks, 1);
  CHECK_FALSE(mailbox.is_full(0));
  CHECK(is_readable(mailbox.room_fd()));
  mailbox.clear_room();
  mailbox.take(chunks, 1);
  CHECK_FALSE(is_readable(mailbox.room_fd()));
}

TEST_CASE("mailbox: what was taken is used again") {
  Mailbox mailbox(1000);
  mailbox.add_instance();
  push(mailbox, 0, 500);
  std::vector<Mailbox::Chunk> chunks;
  mailbox.take(chunks, 1);
  CHECK(mailbox.fresh().bytes.capacity() == 0);
  mailbox.take(chunks, 1);
  CHECK(mailbox.fresh().bytes.capacity() >= 500);
}
