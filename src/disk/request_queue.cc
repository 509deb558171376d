#include "disk/request_queue.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::align_val_t kAlignment{4096};

}  // namespace

void FreeAligned::operator()(uint8_t* bytes) const { ::operator delete[](bytes, kAlignment); }

AlignedBytes allocate_aligned(size_t size) {
  return AlignedBytes(new (kAlignment, std::nothrow) uint8_t[size]);
}

Error request_error(std::string_view verb, uint64_t offset, uint64_t length, const Error& cause) {
  std::string what = concat(verb, " ", length, " bytes at byte ", offset);
  return cause.code() != 0 ? system_error(what, cause.code()) : cause.with_context(what);
}

Result<std::unique_ptr<RequestQueue>> RequestQueue::start(BlockTarget& target,
                                                          WriterCounters& counters) {
  std::unique_ptr<RequestQueue> queue(new RequestQueue(target, counters));
  queue->buffers_.resize(kBuffers);
  for (Buffer& buffer : queue->buffers_) {
    buffer.memory_ = allocate_aligned(kBlock);
    if (buffer.memory_ == nullptr) return Error("not enough memory for the disk's buffers", ENOMEM);
    queue->free_.push_back(&buffer);
  }
  for (unsigned i = 0; i < kRequestThreads; ++i) {
    queue->threads_.push_back(TRY(Thread::start([raw = queue.get()] { raw->work(); })));
  }
  return queue;
}

RequestQueue::~RequestQueue() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    waiting_.clear();
  }
  submitted_.notify_all();
  for (Thread& thread : threads_) thread.join();
}

Result<Buffer*> RequestQueue::take() {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return failure_ || !free_.empty(); });
  if (failure_) return *failure_;
  Buffer* buffer = free_.back();
  free_.pop_back();
  return buffer;
}

void RequestQueue::give_back(Buffer* buffer) {
  std::lock_guard lock(mutex_);
  free_.push_back(buffer);
}

Result<void> RequestQueue::write(uint64_t offset, Buffer* buffer, uint32_t steps) {
  return submit({Kind::Write, offset, kBlock, buffer, steps});
}

Result<void> RequestQueue::zero(uint64_t offset, uint64_t length) {
  return submit({Kind::Zero, offset, length, nullptr, 0});
}

Result<void> RequestQueue::read(uint64_t offset, Buffer* buffer) {
  return submit({Kind::Read, offset, kBlock, buffer, 0});
}

Result<void> RequestQueue::submit(Request request) {
  std::unique_lock lock(mutex_);
  // Zero requests hold no buffer: without a bound, the disk could fall behind without end.
  completed_.wait(lock, [&] { return failure_ || waiting_.size() < kBuffers; });
  if (failure_) return *failure_;
  if (request.buffer != nullptr) request.buffer->busy_ = true;
  waiting_.push_back(request);
  lock.unlock();
  submitted_.notify_one();
  return {};
}

Result<void> RequestQueue::wait(Buffer* buffer) {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return failure_ || !buffer->busy_; });
  if (failure_) return *failure_;
  return {};
}

Result<void> RequestQueue::drain() {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return under_way_ == 0 && (failure_ || waiting_.empty()); });
  if (failure_) return *failure_;
  return {};
}

void RequestQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    Request request = waiting_.front();
    waiting_.pop_front();
    ++under_way_;
    lock.unlock();
    Result<void> result = carry_out(request);
    lock.lock();
    --under_way_;
    if (request.buffer != nullptr) {
      request.buffer->busy_ = false;
      if (request.kind == Kind::Write) free_.push_back(request.buffer);
    }
    if (!result.ok() && !failure_) {
      failure_ = result.error();
      waiting_.clear();  // Nothing more goes to a disk that failed.
    }
    completed_.notify_all();
  }
}

Result<void> RequestQueue::carry_out(const Request& request) {
  switch (request.kind) {
    case Kind::Zero: {
      Result<void> result = target_.zero(request.offset, request.length);
      if (!result.ok()) {
        return request_error("zeroing", request.offset, request.length, result.error());
      }
      counters_.zeroed += request.length;
      return {};
    }
    case Kind::Read: {
      Result<void> result = target_.read(request.offset, request.buffer->bytes());
      if (!result.ok()) {
        return request_error("reading back", request.offset, request.length, result.error());
      }
      return {};
    }
    case Kind::Write: {
      ConstBytes bytes = request.buffer->bytes();
      for (uint64_t step = 0; step < kBlock / kZeroStep; ++step) {
        if ((request.steps >> step & 1) == 0) continue;
        uint64_t begin = step;
        while (step < kBlock / kZeroStep && (request.steps >> step & 1) != 0) ++step;
        uint64_t offset = request.offset + begin * kZeroStep;
        uint64_t length = (step - begin) * kZeroStep;
        Result<void> result = target_.write(offset, bytes.subspan(begin * kZeroStep, length));
        if (!result.ok()) return request_error("writing", offset, length, result.error());
      }
      return {};
    }
  }
  __builtin_unreachable();
}

}  // namespace curlingiron
