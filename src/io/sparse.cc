#include "io/sparse.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/advice.h"
#include "base/text.h"
#include "base/units.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// Holes begin and end at multiples of this.
constexpr size_t kPiece = 64_KiB;
// Chunks that wait to be copied.
constexpr size_t kMostWaiting = 3;

// Writes what holds anything, and returns how many bytes that is.
Result<uint64_t> write_sparsely(const UniqueFd& file, ConstBytes bytes, uint64_t offset) {
  uint64_t written = 0;
  size_t begin = 0;  // of what was not written yet
  auto write_up_to = [&](size_t end) -> Result<void> {
    if (begin != end) TRY(pwrite_all(file, bytes.subspan(begin, end - begin), offset + begin));
    written += end - begin;
    return {};
  };
  for (size_t at = 0; at < bytes.size();) {
    size_t n = std::min(bytes.size() - at, kPiece - static_cast<size_t>((offset + at) % kPiece));
    if (all_zero(bytes.subspan(at, n))) {
      TRY(write_up_to(at));
      begin = at + n;
    }
    at += n;
  }
  TRY(write_up_to(bytes.size()));
  return written;
}

}  // namespace

Result<std::unique_ptr<KeepingSource>> KeepingSource::start(Source& inner, uint64_t most) {
  UniqueFd memory = TRY(create_memory_file("image"));
  return std::unique_ptr<KeepingSource>(new KeepingSource(inner, most, std::move(memory)));
}

Result<size_t> KeepingSource::read(MutableBytes into) {
  size_t n = TRY(inner_.read(into));
  kept_ += TRY(write_sparsely(memory_, into.first(n), size_));
  size_ += n;
  if (kept_ > most_) {
    return Error(concat("is longer than the ", format_size(most_),
                        " that memory holds, so that it cannot be proven first; leave out ",
                        as_typed("prove=first")),
                 ENOMEM);
  }
  return n;
}

Result<UniqueFd> KeepingSource::take() {
  TRY(resize_file(memory_, size_));  // A hole may be its end.
  return std::move(memory_);
}

struct SparseCopy::State {
  State(uint64_t largest, UniqueFd file) : most(largest), memory(std::move(file)) {}

  void copy();

  struct Chunk {
    ByteVector bytes;
    size_t size = 0;
    uint64_t offset = 0;
  };

  const uint64_t most;
  UniqueFd memory;    // the thread's, until it is joined
  uint64_t size = 0;  // of what was handed in
  Thread copier;

  std::mutex mutex;
  std::condition_variable changed;
  // Under the mutex:
  std::deque<Chunk> waiting;
  std::vector<ByteVector> free;
  uint64_t kept = 0;
  bool fits = true;
  bool ended = false;  // nothing more comes
};

void SparseCopy::State::copy() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return ended || !waiting.empty(); });
    if (waiting.empty()) return;
    Chunk chunk = std::move(waiting.front());
    waiting.pop_front();
    bool wanted = fits;
    lock.unlock();
    Result<uint64_t> written = uint64_t{0};
    if (wanted) {
      written = write_sparsely(memory, ConstBytes(chunk.bytes).first(chunk.size), chunk.offset);
    }
    lock.lock();
    if (written.ok()) kept += written.value();
    fits = fits && written.ok() && kept <= most;
    free.push_back(std::move(chunk.bytes));
    changed.notify_all();
  }
}

SparseCopy::SparseCopy(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<SparseCopy>> SparseCopy::start(uint64_t most) {
  auto state = std::make_unique<State>(most, TRY(create_memory_file("image")));
  state->copier = TRY(Thread::start([raw = state.get()] { raw->copy(); }));
  return std::unique_ptr<SparseCopy>(new SparseCopy(std::move(state)));
}

SparseCopy::~SparseCopy() { stop(); }

bool SparseCopy::add(ByteVector& chunk, size_t size) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.changed.wait(lock, [&] { return s.waiting.size() < kMostWaiting; });
  if (!s.fits) return false;
  ByteVector next;
  if (!s.free.empty()) {
    next = std::move(s.free.back());
    s.free.pop_back();
  }
  next.resize(chunk.size());
  std::swap(chunk, next);
  s.waiting.push_back({std::move(next), size, s.size});
  s.size += size;
  s.changed.notify_all();
  return true;
}

void SparseCopy::add_zeros(uint64_t count) { state_->size += count; }

void SparseCopy::stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->ended = true;
  }
  state_->changed.notify_all();
  state_->copier.join();
}

Result<UniqueFd> SparseCopy::finish() {
  stop();
  State& s = *state_;
  if (!s.fits) return UniqueFd();
  TRY(resize_file(s.memory, s.size));
  return std::move(s.memory);
}

Result<std::unique_ptr<SparseFileSource>> SparseFileSource::open(UniqueFd fd) {
  uint64_t size = TRY(seek_end(fd));
  return std::unique_ptr<SparseFileSource>(new SparseFileSource(std::move(fd), size));
}

Result<size_t> SparseFileSource::read(MutableBytes into) {
  auto n = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - position()));
  TRY(pread_exact(fd_, into.first(n), position()));
  position_.fetch_add(n, std::memory_order_relaxed);
  return n;
}

uint64_t SparseFileSource::zeros_ahead() {
  // One question for as much as a reader takes at once.
  constexpr uint64_t kStep = 1_MiB;
  uint64_t at = position();
  if (at < data_end_ || at == size_) return 0;
  Result<std::optional<uint64_t>> data = seek_data(fd_, at);
  if (!data.ok()) return 0;
  uint64_t next = data.value().value_or(size_);
  if (next == at) data_end_ = at + kStep;
  return next - at;
}

void SparseFileSource::skip_zeros(uint64_t count) {
  position_.fetch_add(count, std::memory_order_relaxed);
}

}  // namespace curlingiron
