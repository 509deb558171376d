#include "sys/thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

namespace curlingiron {
namespace {

TEST(Thread, JoinWaitsForTheBody) {
  std::atomic<int> value{0};
  Thread thread = Thread::start([&] { value = 7; }).value();
  EXPECT_TRUE(thread.running());
  thread.join();
  EXPECT_EQ(value, 7);
  EXPECT_FALSE(thread.running());
  thread.join();  // Again is fine.
}

TEST(Thread, DestructorAndAssignmentJoin) {
  std::atomic<int> ended{0};
  std::mutex gate;
  {
    std::unique_lock closed(gate);
    Thread first = Thread::start([&] {
                     std::lock_guard wait(gate);
                     ++ended;
                   }).value();
    closed.unlock();
    first = Thread::start([&] { ++ended; }).value();
    EXPECT_GE(ended, 1);  // The first was joined before its handle went.
  }
  EXPECT_EQ(ended, 2);
}

TEST(Thread, AMovedThreadIsOwnedOnce) {
  std::atomic<int> ended{0};
  Thread from = Thread::start([&] { ++ended; }).value();
  Thread to = std::move(from);
  EXPECT_FALSE(from.running());
  to.join();
  EXPECT_EQ(ended, 1);
}

TEST(Thread, ThereIsAProcessor) { EXPECT_GE(processor_count(), 1U); }

}  // namespace
}  // namespace curlingiron
