#include "net/http/inbox.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

std::string text_of(const ByteVector& bytes, size_t count) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), count);
}

TEST(Inbox, WhoWaitsIsServedFirstAndTheRestWaits) {
  Inbox inbox(8);
  ByteVector space(3);
  EXPECT_FALSE(inbox.has_reader());
  EXPECT_EQ(inbox.room(), 8U);
  inbox.begin_read(space);
  EXPECT_TRUE(inbox.has_reader());
  EXPECT_EQ(inbox.room(), 11U);
  inbox.put(as_bytes("ab"));
  EXPECT_TRUE(inbox.has_bytes());
  EXPECT_FALSE(inbox.is_full());
  inbox.put(as_bytes("cdef"));
  EXPECT_TRUE(inbox.is_full());
  EXPECT_EQ(inbox.room(), 5U);
  EXPECT_EQ(inbox.end_read(), 3U);
  EXPECT_EQ(text_of(space, 3), "abc");
  ByteVector more(10);
  EXPECT_EQ(inbox.take(more), 3U);
  EXPECT_EQ(text_of(more, 3), "def");
  EXPECT_EQ(inbox.take(more), 0U);
  EXPECT_EQ(inbox.room(), 8U);
}

TEST(Inbox, WhatDoesNotFitTheReaderComesInOrder) {
  Inbox inbox(8);
  inbox.put(as_bytes("abcdefgh"));
  EXPECT_EQ(inbox.room(), 0U);
  ByteVector two(2);
  std::string all;
  while (size_t count = inbox.take(two)) all += text_of(two, count);
  EXPECT_EQ(all, "abcdefgh");
  inbox.put(as_bytes("xyz"));
  inbox.clear();
  EXPECT_EQ(inbox.take(two), 0U);
}

}  // namespace
}  // namespace curlingiron
