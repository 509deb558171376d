// The disk in guest order. A fetcher (the reader itself, or a thread) takes extents off the map and
// fills slots of a ring: holes as numbers, plain data as it is, compressed clusters as they are in
// the file. Unpackers turn the latter into data, each slot by one thread; the reader empties the
// slots in order. Without compression and without a thread there are no slots: the reader reads the
// file.
#include "io/qcow2.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <vector>

#include "base/text.h"
#include "io/qcow2_map.h"
#include "io/qcow2_reader.h"
#include "io/qcow2_unpack.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

// Data in one slot: enough that the lock and the threads' turns are not felt; or one cluster, where
// that is more.
constexpr uint64_t kLeastSlot = 1_MiB;
constexpr uint64_t kMostSlotBytes = 24_MiB;  // of all slots, packed bytes included
constexpr unsigned kMostUnpackers = 8;
constexpr uint64_t kLargeHole = 64_KiB;
constexpr size_t kMostSegments = 4096;  // in a slot

// The file, with its bytes counted.
class CountedFile final : public RandomSource {
 public:
  explicit CountedFile(RandomSource& file) : file_(file) {}
  uint64_t size() const override { return file_.size(); }
  Result<void> read_at(uint64_t offset, MutableBytes into) override {
    TRY(file_.read_at(offset, into));
    count_.fetch_add(into.size(), std::memory_order_relaxed);
    return {};
  }
  void expect(uint64_t offset, uint64_t length) override { file_.expect(offset, length); }
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  RandomSource& file_;
  std::atomic<uint64_t> count_{0};
};

// Memory that is not cleared, and kept for the next use.
class Buffer {
 public:
  uint8_t* reserve(size_t size) {
    if (size > size_) {
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      size_ = size;
    }
    return bytes_.get();
  }
  uint8_t* bytes() const { return bytes_.get(); }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

// Guest bytes in order: zeros, or what is at `at` in the slot's data.
struct Segment {
  bool zeros = false;
  uint64_t length = 0;
  size_t at = 0;
};

// A compressed cluster of a slot.
struct PackedCluster {
  uint64_t guest = 0;
  size_t at = 0;  // in the slot's packed bytes
  size_t size = 0;
  size_t data_at = 0;  // its cluster in the slot's data
};

// One read of the file, for a slot.
struct FileRead {
  uint64_t guest = 0;  // where its first bytes belong
  uint64_t host = 0;
  size_t length = 0;
  bool packed = false;
  size_t at = 0;  // in the slot's packed bytes, or in its data
};

struct Slot {
  enum class Stage { Packed, Ready };
  Stage stage = Stage::Ready;  // under the mutex
  std::vector<Segment> segments;
  std::vector<PackedCluster> clusters;
  Buffer data;
  Buffer packed;
  size_t data_used = 0;
  size_t packed_used = 0;
  std::optional<Error> error;

  void clear() {
    segments.clear();
    clusters.clear();
    data_used = packed_used = 0;
    error.reset();
  }
};

Result<void> unpack_slot(Qcow2Unpacker& unpacker, uint64_t cluster_size, Slot& slot) {
  for (const PackedCluster& cluster : slot.clusters) {
    Result<void> done = unpacker.unpack({slot.packed.bytes() + cluster.at, cluster.size},
                                        {slot.data.bytes() + cluster.data_at, cluster_size});
    if (done.ok()) continue;
    return Error(concat("qcow2, disk offset ", cluster.guest, ": ", done.error().message(),
                        "; the image is damaged: download it again"));
  }
  return {};
}

}  // namespace

struct Qcow2Source::State {
  State(RandomSource& source, const Qcow2Options& options) : file(source), fetch(options.fetch) {}
  ~State();

  Result<void> open();
  // The fetcher's: one thread.
  Result<void> fill(Slot& slot);
  Result<void> collect(Slot& slot);
  uint64_t add(Slot& slot, uint64_t guest, const Qcow2Extent& extent);
  Result<void> read_file(Slot& slot);
  Result<void> start_unpackers();
  void fetch_one();
  void fetch_all();
  // An unpacker's.
  void unpack_all();
  // The reader's.
  Result<void> advance();
  Result<void> advance_in_file();
  Result<void> next_slot();
  Result<size_t> read(MutableBytes into);
  Result<size_t> read_front(MutableBytes into);
  Result<void> extend_front(size_t wanted);

  uint64_t size() const { return map->header().virtual_size; }
  Slot& slot_at(uint64_t number) { return slots[static_cast<size_t>(number % slots.size())]; }
  bool more_in_slot() { return has_slot && next_segment < slot_at(head).segments.size(); }

  CountedFile file;
  Qcow2Options::Fetch fetch;
  std::unique_ptr<Qcow2Map> map;
  std::optional<Qcow2Reader> reader;  // the fetcher's
  uint64_t slot_size = kLeastSlot;
  std::vector<Slot> slots;

  // The fetcher's own.
  uint64_t fetched = 0;  // the guest offset up to which extents were taken
  std::vector<FileRead> reads;
  bool packed_seen = false;

  // What the reader gives out next: zeros, bytes of the slot at `head`, or bytes of the file.
  enum class From { Zeros, Slot, File };
  From from = From::Zeros;
  uint64_t left = 0;
  const uint8_t* bytes = nullptr;
  uint64_t host = 0;
  size_t next_segment = 0;
  bool has_slot = false;  // the one at `head` is being read
  std::optional<Error> failed;
  std::atomic<uint64_t> position{0};

  std::mutex mutex;
  std::condition_variable slot_freed;
  std::condition_variable slot_filled;
  std::condition_variable slot_ready;
  // Below: under the mutex. Slots [head, tail) are in use, counted from the start of the stream.
  uint64_t head = 0;
  uint64_t tail = 0;
  uint64_t next_unpack = 0;  // the first slot that no unpacker has looked at
  bool stop = false;
  bool done = false;  // no slot comes after `tail`: the end, or `fetch_failure`
  std::optional<Error> fetch_failure;

  std::vector<Thread> unpackers;
  Thread fetcher;
};

Qcow2Source::State::~State() {
  {
    std::lock_guard lock(mutex);
    stop = true;
  }
  slot_freed.notify_all();
  slot_filled.notify_all();
  fetcher.join();  // First: it starts the others.
  for (Thread& thread : unpackers) thread.join();
}

Result<void> Qcow2Source::State::open() {
  map = TRY(Qcow2Map::open(file));
  reader.emplace(file, *map,
                 fetch == Qcow2Options::Fetch::OnThread ? Qcow2Reader::Order::Strict
                                                        : Qcow2Reader::Order::Any);
  slot_size = std::max(kLeastSlot, map->header().cluster_size());
  done = size() == 0;
  // A slot's packed bytes take as much memory as its data, at the most.
  uint64_t fit = kMostSlotBytes / (2 * slot_size);
  uint64_t wanted = std::max<uint64_t>(8, 2 * std::min(processor_count(), kMostUnpackers) + 2);
  slots.resize(static_cast<size_t>(std::clamp<uint64_t>(wanted, 4, std::max<uint64_t>(4, fit))));
  if (fetch == Qcow2Options::Fetch::OnThread) {
    fetcher = TRY(Thread::start([this] { fetch_all(); }));
  }
  return {};
}

Result<void> Qcow2Source::State::fill(Slot& slot) {
  slot.clear();
  reads.clear();
  TRY(collect(slot));
  return read_file(slot);
}

// Takes extents until the slot is full; not beyond the map's window, in which the runs of the
// slot's reads are still to be found.
Result<void> Qcow2Source::State::collect(Slot& slot) {
  while (fetched < size() && (slot.segments.empty() || map->holds(fetched))) {
    Qcow2Extent extent = TRY(map->at(fetched));
    uint64_t taken = add(slot, fetched, extent);
    if (taken == 0) return {};
    fetched += taken;
  }
  return {};
}

// How much of the extent the slot takes; 0 when it is full. A large hole closes a slot, so that the
// reader hears of it.
uint64_t Qcow2Source::State::add(Slot& slot, uint64_t guest, const Qcow2Extent& extent) {
  if (slot.segments.size() == kMostSegments) return 0;
  if (!slot.segments.empty() && slot.segments.back().zeros &&
      slot.segments.back().length >= slot_size) {
    return 0;
  }
  uint64_t room = slot_size - slot.data_used;
  uint64_t taken = extent.length;
  switch (extent.kind) {
    case Qcow2Extent::Kind::Zeros: slot.segments.push_back({true, taken, 0}); return taken;
    case Qcow2Extent::Kind::Plain: {
      taken = std::min(taken, room);
      if (taken == 0) return 0;
      size_t length = static_cast<size_t>(taken);
      if (!reads.empty() && !reads.back().packed &&
          reads.back().host + reads.back().length == extent.host) {
        reads.back().length += length;
        // Zeros may be in between, but take no room in the data.
      } else {
        reads.push_back({guest, extent.host, length, false, slot.data_used});
      }
      slot.segments.push_back({false, taken, slot.data_used});
      slot.data_used += length;
      return taken;
    }
    case Qcow2Extent::Kind::Packed: {
      size_t cluster = static_cast<size_t>(map->header().cluster_size());
      size_t length = static_cast<size_t>(extent.packed_size);
      bool fits = slot.packed_used == 0 || slot.packed_used + length <= slot_size;
      if (room < cluster || !fits) return 0;
      FileRead* last = reads.empty() || !reads.back().packed ? nullptr : &reads.back();
      // The last sector of one may hold the start of the next.
      if (last == nullptr || extent.host < last->host || extent.host > last->host + last->length) {
        reads.push_back({guest, extent.host, 0, true, slot.packed_used});
        last = &reads.back();
      }
      size_t at = static_cast<size_t>(extent.host - last->host);
      last->length = std::max(last->length, at + length);
      slot.clusters.push_back({guest, last->at + at, length, slot.data_used});
      slot.segments.push_back({false, taken, slot.data_used});
      slot.packed_used = last->at + last->length;
      slot.data_used += cluster;
      return taken;
    }
  }
  return 0;
}

Result<void> Qcow2Source::State::read_file(Slot& slot) {
  uint8_t* packed = slot.packed.reserve(slot.packed_used);
  uint8_t* data = slot.data_used != 0 ? slot.data.reserve(static_cast<size_t>(slot_size)) : nullptr;
  for (const FileRead& read : reads) {
    MutableBytes into((read.packed ? packed : data) + read.at, read.length);
    TRY(reader->read(read.guest, read.host, read.packed, into));
  }
  return {};
}

// As many as there are processors; fewer where the machine will not have them.
Result<void> Qcow2Source::State::start_unpackers() {
  unsigned wanted = std::min(processor_count(), kMostUnpackers);
  while (unpackers.size() < wanted) {
    Result<Thread> thread = Thread::start([this] { unpack_all(); });
    if (!thread.ok() && unpackers.empty()) return thread.error();
    if (!thread.ok()) return {};
    unpackers.push_back(std::move(thread).value());
  }
  return {};
}

// Fills the slot at `tail`, which must be free.
void Qcow2Source::State::fetch_one() {
  Slot& slot = slot_at(tail);  // Only the fetcher moves `tail`.
  Result<void> filled = fill(slot);
  packed_seen = filled.ok() && !slot.clusters.empty();
  if (packed_seen && unpackers.empty()) filled = start_unpackers();
  {
    std::lock_guard lock(mutex);
    if (filled.ok()) {
      slot.stage = packed_seen ? Slot::Stage::Packed : Slot::Stage::Ready;
      ++tail;
    } else {
      fetch_failure = filled.error();
    }
    done = !filled.ok() || fetched == size();
  }
  if (packed_seen) slot_filled.notify_one();
  slot_ready.notify_one();
}

void Qcow2Source::State::fetch_all() {
  for (;;) {
    {
      std::unique_lock lock(mutex);
      slot_freed.wait(lock, [&] { return stop || tail - head < slots.size(); });
      if (stop || done) return;
    }
    fetch_one();
  }
}

void Qcow2Source::State::unpack_all() {
  Result<std::unique_ptr<Qcow2Unpacker>> unpacker =
      Qcow2Unpacker::create(map->header().compression);
  std::unique_lock lock(mutex);
  for (;;) {
    // The reader may be past slots that had nothing to unpack.
    slot_filled.wait(lock, [&] { return stop || std::max(next_unpack, head) != tail; });
    if (stop) return;
    next_unpack = std::max(next_unpack, head);
    Slot& slot = slot_at(next_unpack++);
    if (slot.stage != Slot::Stage::Packed) continue;
    lock.unlock();
    Result<void> unpacked = unpacker.ok()
                                ? unpack_slot(*unpacker.value(), map->header().cluster_size(), slot)
                                : Result<void>(unpacker.error());
    lock.lock();
    if (!unpacked.ok()) slot.error = unpacked.error();
    slot.stage = Slot::Stage::Ready;
    slot_ready.notify_one();
  }
}

// Finds what comes next; left == 0 afterwards is the end of the disk.
Result<void> Qcow2Source::State::advance() {
  while (left == 0) {
    if (!more_in_slot()) {
      TRY(next_slot());
      if (!has_slot) return {};
      continue;
    }
    const Slot& slot = slot_at(head);
    const Segment& segment = slot.segments[next_segment++];
    from = segment.zeros ? From::Zeros : From::Slot;
    bytes = slot.data.bytes() + segment.at;
    left = segment.length;
  }
  return {};
}

// Leaves the slot that was read and waits for the one after it.
Result<void> Qcow2Source::State::next_slot() {
  std::unique_lock lock(mutex);
  if (has_slot) {
    has_slot = false;
    ++head;
    slot_freed.notify_one();
  }
  if (fetch == Qcow2Options::Fetch::InReader) {
    lock.unlock();
    if (head == tail && !packed_seen) {
      TRY(advance_in_file());
      if (left != 0) return {};
    }
    // The unpackers are kept busy before the reader goes on.
    while (!done && tail - head < slots.size() && (head == tail || packed_seen)) fetch_one();
    lock.lock();
  }
  slot_ready.wait(lock,
                  [&] { return head == tail ? done : slot_at(head).stage == Slot::Stage::Ready; });
  if (head == tail) {
    if (fetch_failure) return *fetch_failure;
    return {};
  }
  Slot& slot = slot_at(head);
  if (slot.error) return *slot.error;
  has_slot = true;
  next_segment = 0;
  return {};
}

// Without slots: a hole, or plain data. Compressed data is left to them.
Result<void> Qcow2Source::State::advance_in_file() {
  if (fetched == size()) return {};
  Qcow2Extent extent = TRY(map->at(fetched));
  if (extent.kind == Qcow2Extent::Kind::Packed) return {};
  from = extent.kind == Qcow2Extent::Kind::Zeros ? From::Zeros : From::File;
  host = extent.host;
  left = extent.length;
  fetched += extent.length;
  return {};
}

// Clusters that follow each other in the file as they do on the disk are one read.
Result<void> Qcow2Source::State::extend_front(size_t wanted) {
  while (left < wanted && fetched < size() && map->holds(fetched)) {
    Qcow2Extent next = TRY(map->at(fetched));
    if (next.kind != Qcow2Extent::Kind::Plain || next.host != host + left) return {};
    left += next.length;
    fetched += next.length;
  }
  return {};
}

Result<size_t> Qcow2Source::State::read_front(MutableBytes into) {
  if (from == From::File) TRY(extend_front(into.size()));
  size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), left));
  switch (from) {
    case From::Zeros: std::memset(into.data(), 0, n); break;
    case From::Slot:
      std::memcpy(into.data(), bytes, n);
      bytes += n;
      break;
    case From::File:
      TRY(reader->read(fetched - left, host, false, into.first(n)));
      host += n;
      break;
  }
  left -= n;
  return n;
}

// Also over the ends of segments; but not of slots, since the next one may be long in coming, nor
// into a hole that is worth skipping.
Result<size_t> Qcow2Source::State::read(MutableBytes into) {
  size_t filled = 0;
  while (filled < into.size()) {
    if (left == 0) {
      if (filled != 0 && !more_in_slot()) break;
      TRY(advance());
      if (left == 0) break;
    }
    if (filled != 0 && from == From::Zeros && left >= kLargeHole) break;
    filled += TRY(read_front(into.subspan(filled)));
  }
  return filled;
}

Result<std::unique_ptr<Qcow2Source>> Qcow2Source::open(RandomSource& file,
                                                       const Qcow2Options& options) {
  auto state = std::make_unique<State>(file, options);
  TRY(state->open());
  return std::unique_ptr<Qcow2Source>(new Qcow2Source(std::move(state)));
}

Qcow2Source::Qcow2Source(std::unique_ptr<State> state) : state_(std::move(state)) {}
Qcow2Source::~Qcow2Source() = default;

uint64_t Qcow2Source::virtual_size() const { return state_->size(); }
uint64_t Qcow2Source::position() const { return state_->position.load(std::memory_order_relaxed); }
uint64_t Qcow2Source::consumed() const { return state_->file.count(); }

Result<size_t> Qcow2Source::read(MutableBytes into) {
  if (state_->failed) return *state_->failed;
  Result<size_t> n = state_->read(into);
  if (!n.ok()) {
    state_->failed = n.error();
  } else {
    state_->position.fetch_add(n.value(), std::memory_order_relaxed);
  }
  return n;
}

uint64_t Qcow2Source::zeros_ahead() {
  if (state_->failed) return 0;
  if (Result<void> found = state_->advance(); !found.ok()) {
    state_->failed = found.error();  // The next read() says it.
    return 0;
  }
  return state_->from == State::From::Zeros ? state_->left : 0;
}

void Qcow2Source::skip_zeros(uint64_t count) {
  if (state_->from != State::From::Zeros) return;
  count = std::min(count, state_->left);
  state_->left -= count;
  state_->position.fetch_add(count, std::memory_order_relaxed);
}

}  // namespace curlingiron
