// Block requests carried out by a few threads, so that a disk has several in flight while the next
// are prepared. One thread submits; memory is bounded by the buffers, waiting by the queue.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "disk/block_writer.h"
#include "sys/thread.h"

namespace curlingiron {

inline constexpr uint64_t kBlock = 1_MiB;      // the largest request, and the size of a buffer
inline constexpr uint64_t kZeroStep = 64_KiB;  // the granularity of zero detection
inline constexpr unsigned kBuffers = 8;
inline constexpr unsigned kRequestThreads = 2;

struct FreeAligned {
  void operator()(uint8_t* bytes) const;
};
// 4096-aligned, for O_DIRECT. Null when there is no memory.
using AlignedBytes = std::unique_ptr<uint8_t[], FreeAligned>;
AlignedBytes allocate_aligned(size_t size);

// One buffer of kBlock bytes, on loan from the queue to its user or to a request.
class Buffer {
 public:
  MutableBytes bytes() { return {memory_.get(), kBlock}; }

 private:
  friend class RequestQueue;
  AlignedBytes memory_;
  bool busy_ = false;  // a request is under way; under the queue's mutex
};

class RequestQueue {
 public:
  static Result<std::unique_ptr<RequestQueue>> start(BlockTarget& target, WriterCounters& counters);
  // Drops the requests that have not begun and waits for those that have.
  ~RequestQueue();
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  // Waits for a free buffer. The queue's first failure ends all waiting, here and below.
  Result<Buffer*> take();
  void give_back(Buffer* buffer);

  // Writes the kZeroSteps of `buffer` whose bits are set in `steps`, each run in one request, then
  // gives the buffer back.
  Result<void> write(uint64_t offset, Buffer* buffer, uint32_t steps);
  Result<void> zero(uint64_t offset, uint64_t length);
  // Fills `buffer`; wait() says when, and the buffer stays with the caller.
  Result<void> read(uint64_t offset, Buffer* buffer);
  Result<void> wait(Buffer* buffer);
  // Waits until every request is done.
  Result<void> drain();

 private:
  enum class Kind { Write, Zero, Read };
  struct Request {
    Kind kind;
    uint64_t offset;
    uint64_t length;
    Buffer* buffer;
    uint32_t steps;
  };

  RequestQueue(BlockTarget& target, WriterCounters& counters)
      : target_(target), counters_(counters) {}
  Result<void> submit(Request request);
  void work();
  Result<void> carry_out(const Request& request);

  BlockTarget& target_;
  WriterCounters& counters_;
  std::vector<Buffer> buffers_;
  std::vector<Thread> threads_;

  std::mutex mutex_;
  std::condition_variable submitted_;
  std::condition_variable completed_;
  // Under the mutex:
  std::vector<Buffer*> free_;
  std::deque<Request> waiting_;
  unsigned under_way_ = 0;
  bool stop_ = false;
  std::optional<Error> failure_;
};

// "writing 65536 bytes at byte 1048576: Input/output error"
Error request_error(std::string_view verb, uint64_t offset, uint64_t length, const Error& cause);

}  // namespace curlingiron
