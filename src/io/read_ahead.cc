// A ring between one thread that fills and one that drains: no allocation while it runs.
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "io/adapters.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// The most that one inner read may ask for: small enough that the reader starts early, large enough
// that the lock is not felt.
constexpr size_t kLargestRead = 256_KiB;

}  // namespace

struct ReadAheadSource::State {
  explicit State(Source& source) : inner(source) {}

  void fill();

  Source& inner;
  std::unique_ptr<uint8_t[]> ring = std::make_unique_for_overwrite<uint8_t[]>(kReadAhead);
  Thread filler;

  std::mutex mutex;
  std::condition_variable filled_some;
  std::condition_variable drained_some;
  // Below: under the mutex. Positions count from the start of the stream; the ring holds
  // [drained, filled).
  uint64_t filled = 0;
  uint64_t drained = 0;
  bool stop = false;   // the reader goes away
  bool ended = false;  // nothing comes after `filled`: the end, or `failure`
  std::optional<Error> failure;
};

void ReadAheadSource::State::fill() {
  std::unique_lock lock(mutex);
  for (;;) {
    drained_some.wait(lock, [&] { return stop || filled - drained < kReadAhead; });
    if (stop) return;
    size_t start = static_cast<size_t>(filled % kReadAhead);
    size_t room = std::min({kReadAhead - static_cast<size_t>(filled - drained), kReadAhead - start,
                            static_cast<size_t>(kLargestRead)});
    lock.unlock();  // The reader never touches the room after `filled`.
    Result<size_t> n = inner.read({ring.get() + start, room});
    lock.lock();
    if (!n.ok()) failure = n.error();
    ended = !n.ok() || n.value() == 0;
    if (!ended) filled += n.value();
    filled_some.notify_one();
    if (ended) return;
  }
}

Result<std::unique_ptr<ReadAheadSource>> ReadAheadSource::start(Source& inner) {
  auto state = std::make_unique<State>(inner);
  state->filler = TRY(Thread::start([raw = state.get()] { raw->fill(); }));
  return std::unique_ptr<ReadAheadSource>(new ReadAheadSource(std::move(state)));
}

bool ReadAheadSource::is_starved() const {
  std::lock_guard lock(state_->mutex);
  return state_->filled == state_->drained && !state_->ended;
}

std::optional<Error> ReadAheadSource::failure() const {
  std::lock_guard lock(state_->mutex);
  return state_->failure;
}

ReadAheadSource::ReadAheadSource(std::unique_ptr<State> state) : state_(std::move(state)) {}

ReadAheadSource::~ReadAheadSource() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->drained_some.notify_one();
  state_->filler.join();
}

Result<size_t> ReadAheadSource::read(MutableBytes into) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.filled_some.wait(lock, [&] { return s.ended || s.filled != s.drained; });
  if (s.filled == s.drained) {
    if (s.failure) return *s.failure;
    return size_t{0};
  }
  size_t start = static_cast<size_t>(s.drained % kReadAhead);
  size_t n = std::min({into.size(), static_cast<size_t>(s.filled - s.drained), kReadAhead - start});
  lock.unlock();  // The filler never touches [drained, filled).
  std::memcpy(into.data(), s.ring.get() + start, n);
  lock.lock();
  s.drained += n;
  lock.unlock();
  s.drained_some.notify_one();
  return n;
}

}  // namespace curlingiron
