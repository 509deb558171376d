#include "disk/block_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>

#include "base/log.h"
#include "base/text.h"
#include "disk/request_queue.h"
#include "io/xxh3.h"

namespace curlingiron {
namespace {

// One request to zero: long enough for a disk that zeroes by itself, short enough for one that has
// to be sent the zeros (the ioctl cannot be interrupted, and progress is shown between two).
constexpr uint64_t kLongestZero = 64_MiB;
// A shorter run is written with the data around it: a request costs as much as writing some 300
// KiB to a fast disk (measured on a loop device), and many of them in a row a multiple of that.
constexpr uint64_t kShortestZero = 256_KiB;
// What the old system may have left at the disk's end: blkid looks for metadata of firmware RAIDs
// up to 3087 sectors before it (util-linux, libblkid/src/superblocks/promise_raid.c).
constexpr uint64_t kWipedTail = 2_MiB;
// Digests for verify(): a disk of 2 TiB and less has one per MiB, a larger one has larger blocks.
constexpr uint64_t kMostDigests = uint64_t{1} << 21;
// Buffers that verify() reads ahead into; the others may hold the withheld tail.
constexpr size_t kVerifyAhead = kBuffers - 2;

static_assert(kHeldBack == kBlock, "the withheld head is the first block");
static_assert(kBlock / kZeroStep <= 32, "a block's steps fit a request's bits");

// A block's digest grows by those of its pieces of kBlock bytes.
uint64_t extend_digest(uint64_t so_far, uint64_t piece) {
  std::array<uint64_t, 2> chain = {so_far, piece};
  return xxh3({reinterpret_cast<const uint8_t*>(chain.data()), sizeof chain});
}

Result<void> read_back(BlockTarget& target, uint64_t offset, MutableBytes into) {
  Result<void> result = target.read(offset, into);
  if (!result.ok()) return request_error("reading back", offset, into.size(), result.error());
  return {};
}

Result<void> flush(BlockTarget& target) { return target.flush().with_context("flushing the disk"); }

Result<void> zero(BlockTarget& target, uint64_t offset, uint64_t length) {
  Result<void> result = target.zero(offset, length);
  if (!result.ok()) return request_error("zeroing", offset, length, result.error());
  return {};
}

std::string_view next_step() {
  return "the disk, its cable or its controller is faulty; replace the disk";
}

}  // namespace

struct BlockWriter::State {
  enum class Phase { Prepared, Writing, Finished, AllButFirst, Committed, Withdrawn };

  State(BlockTarget& disk, std::string disk_name)
      : target(disk), name(std::move(disk_name)), geometry(disk.geometry()) {}

  Result<void> prepare();
  Result<void> amend(std::vector<DiskPatch> wanted);
  void overlay(uint64_t offset, MutableBytes bytes) const;
  uint64_t blocks_as_they_are(uint64_t offset) const;
  Result<void> begin();
  Result<void> clear_head();
  Result<void> check_accepting() const;
  Error too_large() const;
  Result<MutableBytes> room();
  Result<void> received(size_t count);
  Result<void> accept(ConstBytes bytes);
  Result<size_t> pull(Source& image, MutableBytes into);
  Result<void> copy(Source& image);
  Result<void> accept_zero_blocks(uint64_t count);
  Result<void> complete_block();
  void add_to_digest(uint64_t offset, uint64_t piece_digest);
  Result<void> submit(uint64_t offset, Buffer* block);
  Result<void> extend_zeros(uint64_t begin, uint64_t end);
  Result<void> submit_zeros();
  Result<void> finish();
  Result<void> verify_body();
  Result<void> write_ends();
  Result<void> write_first_sector();
  Result<void> commit_tail();
  Result<void> commit_after_image();
  Result<void> commit_head();
  Result<void> write_withheld(uint64_t offset, ConstBytes bytes);
  Result<void> check_tail();
  Result<void> check(uint64_t offset, ConstBytes expected);
  void withdraw();

  // The withheld bytes, padded to the sector.
  ConstBytes head_bytes() const { return {head.get(), padded(std::min(image_size, kHeldBack))}; }
  ConstBytes held_bytes() const { return held->bytes(); }
  ConstBytes coming_bytes() const { return coming->bytes().first(padded(filled)); }
  uint64_t coming_offset() const { return held != nullptr ? body_end + kBlock : body_end; }
  uint64_t padded(uint64_t size) const { return round_up(size, geometry.logical_sector); }
  // What of a patch comes after the image's end.
  ConstBytes after_image(const DiskPatch& patch) const {
    uint64_t begin = std::clamp(padded(image_size), patch.offset, patch.end());
    return ConstBytes(patch.bytes).subspan(static_cast<size_t>(begin - patch.offset));
  }

  // Every error is the last word: nothing more is done to the disk after it.
  Result<void> remember(Result<void> result) {
    if (result.ok()) return result;
    if (!failure)
      failure = source_failed || name.empty() ? result.error() : result.error().with_context(name);
    return *failure;
  }

  BlockTarget& target;
  std::string name;  // for messages
  bool source_failed = false;
  BlockGeometry geometry;
  WriterCounters counters;
  Phase phase = Phase::Prepared;
  std::optional<Error> failure;

  // The image as it comes: block 0 goes to `head` and stays there; a later block is held until
  // another whole one has come, so that the last MiB is always here and never on the disk.
  AlignedBytes head;
  uint64_t image_size = 0;
  size_t filled = 0;              // of the block that is coming
  Buffer* coming = nullptr;       // not for block 0
  Buffer* held = nullptr;         // the complete block before `coming`
  uint64_t body_end = kHeldBack;  // submitted: [kHeldBack, body_end)

  std::vector<DiskPatch> patches;  // ascending

  uint64_t zeros_begin = 0;  // a run of zeros that may go on
  uint64_t zeros_end = 0;

  uint64_t pieces_per_digest = 1;
  std::vector<uint64_t> digests;  // of the body, in its order
  uint64_t zero_block_digest = 0;

  // Last: its destructor joins the threads that use what is above.
  std::unique_ptr<RequestQueue> queue;
};

Result<std::unique_ptr<BlockWriter>> BlockWriter::prepare(BlockTarget& target, std::string name) {
  auto state = std::make_unique<State>(target, std::move(name));
  TRY(state->remember(state->prepare()));
  return std::unique_ptr<BlockWriter>(new BlockWriter(std::move(state)));
}

Result<void> BlockWriter::amend(std::vector<DiskPatch> patches) {
  return state_->remember(state_->amend(std::move(patches)));
}
Result<void> BlockWriter::begin() {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->begin());
}

Result<void> BlockWriter::State::prepare() {
  uint64_t sector = geometry.logical_sector;
  if (sector == 0 || (sector & (sector - 1)) != 0 || sector > kZeroStep ||
      geometry.size % sector != 0) {
    return Error(concat("the disk has sectors of ", sector, " bytes and a size of ", geometry.size,
                        " bytes, which this program cannot write to"));
  }
  if (geometry.size < 2 * kHeldBack) {
    return Error(concat("the disk has ", format_size(geometry.size),
                        "; less than 2 MiB cannot hold a system; choose another disk"));
  }
  while (kBlock * pieces_per_digest * kMostDigests < geometry.size) pieces_per_digest *= 2;
  digests.reserve(static_cast<size_t>(geometry.size / (kBlock * pieces_per_digest)) + 1);
  head = allocate_aligned(kHeldBack);
  if (head == nullptr) return Error("not enough memory for the disk's buffers", ENOMEM);
  std::memset(head.get(), 0, kBlock);
  zero_block_digest = xxh3({head.get(), kBlock});
  queue = TRY(RequestQueue::start(target, counters));
  return {};
}

Result<void> BlockWriter::State::amend(std::vector<DiskPatch> wanted) {
  if (phase != Phase::Prepared) return Error("the writer has begun already");
  uint64_t end = 0;
  for (const DiskPatch& patch : wanted) {
    uint64_t sector = geometry.logical_sector;
    if (patch.offset < end || patch.offset % sector != 0 || patch.bytes.size() % sector != 0 ||
        patch.end() > geometry.size) {
      return Error(concat("the change at byte ", patch.offset, " of the disk is none of it"));
    }
    end = patch.end();
  }
  patches = std::move(wanted);
  return {};
}

// `bytes` of the image are for this place of the disk.
void BlockWriter::State::overlay(uint64_t offset, MutableBytes bytes) const {
  for (const DiskPatch& patch : patches) {
    uint64_t begin = std::max(offset, patch.offset);
    uint64_t end = std::min(offset + bytes.size(), patch.end());
    if (begin >= end) continue;
    std::memcpy(bytes.data() + (begin - offset), patch.bytes.data() + (begin - patch.offset),
                static_cast<size_t>(end - begin));
  }
}

// Whole blocks from there on that no patch touches.
uint64_t BlockWriter::State::blocks_as_they_are(uint64_t offset) const {
  for (const DiskPatch& patch : patches) {
    if (patch.end() > offset) return (std::max(patch.offset, offset) - offset) / kBlock;
  }
  return UINT64_MAX;
}

Result<void> BlockWriter::State::begin() {
  if (phase != Phase::Prepared) return Error("the writer has begun already");
  phase = Phase::Writing;
  // From here on the old system is gone.
  uint64_t last = geometry.size - kHeldBack;
  TRY(clear_head());
  uint64_t wiped = std::min(kWipedTail, geometry.size - kHeldBack);
  TRY(zero(target, geometry.size - wiped, wiped));
  TRY(flush(target));
  for (uint64_t offset : {uint64_t{0}, last}) {
    MutableBytes bytes(head.get(), kHeldBack);  // Not in use yet.
    TRY(read_back(target, offset, bytes));
    if (!all_zero(bytes)) {
      return Error(concat("the 1 MiB at byte ", offset,
                          " does not read back as the zeros that were written; ", next_step()));
    }
  }
  return {};
}

// The first sector goes first: a power cut in between must not leave boot code that finds nothing
// after it.
Result<void> BlockWriter::State::clear_head() {
  TRY(zero(target, 0, geometry.logical_sector));
  TRY(flush(target));
  return zero(target, geometry.logical_sector, kHeldBack - geometry.logical_sector);
}

Result<void> BlockWriter::State::check_accepting() const {
  if (phase == Phase::Prepared) return Error("the writer has not begun");
  if (phase != Phase::Writing) return Error("the image is complete; nothing can be added to it");
  return {};
}

Error BlockWriter::State::too_large() const {
  return Error(concat("the image is larger than the disk of ", format_size(geometry.size), " (",
                      geometry.size, " bytes); choose a larger disk"));
}

// What is free of the block that is coming.
Result<MutableBytes> BlockWriter::State::room() {
  if (image_size < kHeldBack) return MutableBytes(head.get() + filled, kBlock - filled);
  if (coming == nullptr) coming = TRY(queue->take());
  return coming->bytes().subspan(filled);
}

// `count` bytes were put into room().
Result<void> BlockWriter::State::received(size_t count) {
  filled += count;
  image_size += count;
  counters.received = image_size;
  if (filled == kBlock) TRY(complete_block());
  return {};
}

Result<void> BlockWriter::State::accept(ConstBytes bytes) {
  TRY(check_accepting());
  if (bytes.size() > geometry.size - image_size) return too_large();
  while (!bytes.empty()) {
    MutableBytes block = TRY(room());
    size_t n = std::min(bytes.size(), block.size());
    std::memcpy(block.data(), bytes.data(), n);
    bytes = bytes.subspan(n);
    TRY(received(n));
  }
  return {};
}

Result<size_t> BlockWriter::State::pull(Source& image, MutableBytes into) {
  Result<size_t> n = image.read(into);
  source_failed = !n.ok();
  return n;
}

Result<void> BlockWriter::State::copy(Source& image) {
  TRY(check_accepting());
  for (;;) {
    // One block less: the last MiB of the image always passes through a buffer, which withholds it.
    uint64_t zero_blocks = filled == 0 ? image.zeros_ahead() / kBlock : 0;
    zero_blocks = std::min(zero_blocks, blocks_as_they_are(image_size));
    if (zero_blocks > 1 && image_size >= kHeldBack) {
      TRY(accept_zero_blocks(zero_blocks - 1));
      image.skip_zeros((zero_blocks - 1) * kBlock);
    }
    uint64_t left = geometry.size - image_size;
    if (left == 0) {
      uint8_t excess = 0;
      if (TRY(pull(image, {&excess, 1})) != 0) return too_large();
      return {};
    }
    MutableBytes block = TRY(room());
    size_t n = TRY(pull(image, block.first(std::min<uint64_t>(block.size(), left))));
    if (n != 0) {
      TRY(received(n));
      continue;
    }
    if (filled == 0 && coming != nullptr) queue->give_back(std::exchange(coming, nullptr));
    return {};
  }
}

// Whole blocks of zeros that nobody has to read: to the same effect as if they had come.
Result<void> BlockWriter::State::accept_zero_blocks(uint64_t count) {
  if (count > (geometry.size - image_size) / kBlock) return too_large();
  if (held != nullptr) TRY(submit(body_end, std::exchange(held, nullptr)));
  for (; count != 0; --count) {
    add_to_digest(body_end, zero_block_digest);
    TRY(extend_zeros(body_end, body_end + kBlock));
    body_end += kBlock;
    image_size += kBlock;
  }
  counters.received = image_size;
  return {};
}

Result<void> BlockWriter::State::complete_block() {
  filled = 0;
  if (image_size == kHeldBack) return {};
  if (held != nullptr) TRY(submit(body_end, held));
  held = std::exchange(coming, nullptr);
  return {};
}

void BlockWriter::State::add_to_digest(uint64_t offset, uint64_t piece_digest) {
  uint64_t piece = offset / kBlock - 1;
  if (piece % pieces_per_digest == 0) digests.push_back(0);
  digests.back() = extend_digest(digests.back(), piece_digest);
}

Result<void> BlockWriter::State::submit(uint64_t offset, Buffer* block) {
  body_end = offset + kBlock;
  overlay(offset, block->bytes());
  add_to_digest(offset, xxh3(block->bytes()));

  constexpr uint64_t kSteps = kBlock / kZeroStep;
  auto is_zero = [&](uint64_t step) {
    return all_zero(block->bytes().subspan(step * kZeroStep, kZeroStep));
  };
  uint32_t steps = 0;  // to be written
  for (uint64_t step = 0; step < kSteps;) {
    uint64_t begin = step;
    while (step < kSteps && is_zero(step)) ++step;
    if ((step - begin) * kZeroStep >= kShortestZero) {
      TRY(extend_zeros(offset + begin * kZeroStep, offset + step * kZeroStep));
    } else {
      for (uint64_t zero = begin; zero < step; ++zero) steps |= uint32_t{1} << zero;
    }
    if (step < kSteps) steps |= uint32_t{1} << step++;
  }
  if (steps != 0) return queue->write(offset, block, steps);
  queue->give_back(block);
  return {};
}

Result<void> BlockWriter::State::extend_zeros(uint64_t begin, uint64_t end) {
  if (begin != zeros_end || zeros_end - zeros_begin >= kLongestZero) {
    TRY(submit_zeros());
    zeros_begin = begin;
  }
  zeros_end = end;
  return {};
}

Result<void> BlockWriter::State::submit_zeros() {
  if (zeros_begin == zeros_end) return {};
  uint64_t begin = std::exchange(zeros_begin, zeros_end);
  return queue->zero(begin, zeros_end - begin);
}

Result<void> BlockWriter::State::finish() {
  if (phase != Phase::Writing) return Error("finish() was called twice");
  if (image_size == 0) return Error("the image is empty; check where it comes from");
  TRY(submit_zeros());
  TRY(queue->drain());
  TRY(flush(target));
  phase = Phase::Finished;
  // What pads the image to its sector must not be what a buffer held before.
  uint8_t* block = image_size < kHeldBack ? head.get()
                   : coming != nullptr    ? coming->bytes().data()
                                          : nullptr;
  if (block != nullptr) std::memset(block + filled, 0, kBlock - filled);
  overlay(0, {head.get(), kHeldBack});
  if (held != nullptr) overlay(body_end, held->bytes());
  if (coming != nullptr) overlay(coming_offset(), coming->bytes());
  return {};
}

Result<void> BlockWriter::State::verify_body() {
  std::deque<Buffer*> ahead;
  uint64_t next = kHeldBack;
  uint64_t digest = 0;
  for (uint64_t offset = kHeldBack; offset < body_end; offset += kBlock) {
    while (next < body_end && ahead.size() < kVerifyAhead) {
      ahead.push_back(TRY(queue->take()));
      TRY(queue->read(next, ahead.back()));
      next += kBlock;
    }
    TRY(queue->wait(ahead.front()));
    uint64_t piece = offset / kBlock - 1;
    if (piece % pieces_per_digest == 0) digest = 0;
    digest = extend_digest(digest, xxh3(ahead.front()->bytes()));
    counters.verified += kBlock;
    queue->give_back(ahead.front());
    ahead.pop_front();
    bool complete = (piece + 1) % pieces_per_digest == 0 || offset + kBlock == body_end;
    uint64_t block = piece / pieces_per_digest;
    if (complete && digest != digests[static_cast<size_t>(block)]) {
      return Error(concat("the ", format_size(kBlock * pieces_per_digest), " at byte ",
                          kHeldBack + block * kBlock * pieces_per_digest,
                          " do not read back as they were written; ", next_step()));
    }
  }
  return {};
}

Result<void> BlockWriter::State::check(uint64_t offset, ConstBytes expected) {
  Buffer* buffer = TRY(queue->take());
  MutableBytes actual = buffer->bytes().first(expected.size());
  TRY(read_back(target, offset, actual));
  const bool same = std::ranges::equal(expected, actual);
  auto differs =
      same ? expected.end() : std::mismatch(expected.begin(), expected.end(), actual.begin()).first;
  queue->give_back(buffer);
  if (!same) {
    return Error(concat("byte ", offset + static_cast<uint64_t>(differs - expected.begin()),
                        " does not read back as it was written; ", next_step()));
  }
  counters.verified += expected.size();
  return {};
}

Result<void> BlockWriter::State::write_withheld(uint64_t offset, ConstBytes bytes) {
  Result<void> result = target.write(offset, bytes);
  if (!result.ok()) return request_error("writing", offset, bytes.size(), result.error());
  return {};
}

Result<void> BlockWriter::State::commit_after_image() {
  for (const DiskPatch& patch : patches) {
    ConstBytes bytes = after_image(patch);
    for (uint64_t at = patch.end() - bytes.size(); !bytes.empty();) {
      // The buffers of the queue are aligned as the disk has it.
      Buffer* buffer = TRY(queue->take());
      MutableBytes piece = buffer->bytes().first(std::min<size_t>(bytes.size(), kBlock));
      std::memcpy(piece.data(), bytes.data(), piece.size());
      TRY(write_withheld(at, piece));
      queue->give_back(buffer);
      at += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  return {};
}

Result<void> BlockWriter::State::commit_tail() {
  TRY(commit_after_image());
  if (held != nullptr) TRY(write_withheld(body_end, held_bytes()));
  if (coming != nullptr) TRY(write_withheld(coming_offset(), coming_bytes()));
  TRY(flush(target));
  return check_tail();
}

Result<void> BlockWriter::State::check_tail() {
  for (const DiskPatch& patch : patches) {
    ConstBytes bytes = after_image(patch);
    for (uint64_t at = patch.end() - bytes.size(); !bytes.empty();) {
      ConstBytes piece = bytes.first(std::min<size_t>(bytes.size(), kBlock));
      TRY(check(at, piece));
      at += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  if (image_size <= kHeldBack) return {};
  if (held != nullptr) TRY(check(body_end, held_bytes()));
  if (coming != nullptr) TRY(check(coming_offset(), coming_bytes()));
  return {};
}

Result<void> BlockWriter::State::commit_head() {
  Buffer* buffer = TRY(queue->take());
  MutableBytes without_first = buffer->bytes().first(head_bytes().size());
  std::memcpy(without_first.data(), head_bytes().data(), without_first.size());
  std::memset(without_first.data(), 0, geometry.logical_sector);
  TRY(write_withheld(0, without_first));
  TRY(flush(target));
  TRY(check(0, without_first));
  queue->give_back(buffer);
  return {};
}

Result<void> BlockWriter::State::write_ends() {
  if (phase != Phase::Finished) return Error("the image's ends are not due before finish()");
  auto attempt = [&]() -> Result<void> {
    TRY(commit_tail());
    return commit_head();
  };
  Result<void> result = attempt();
  if (result.ok()) {
    phase = Phase::AllButFirst;
  } else {
    withdraw();
  }
  return result;
}

Result<void> BlockWriter::State::write_first_sector() {
  if (phase != Phase::AllButFirst) return Error("the first sector is not due before write_ends()");
  ConstBytes first = head_bytes().first(geometry.logical_sector);
  auto attempt = [&]() -> Result<void> {
    // A sector is written whole or not at all: this is the moment at which the disk becomes
    // bootable.
    TRY(write_withheld(0, first));
    TRY(flush(target));
    return check(0, first);
  };
  Result<void> result = attempt();
  if (result.ok()) {
    phase = Phase::Committed;
  } else {
    withdraw();
  }
  return result;
}

void BlockWriter::State::withdraw() {
  phase = Phase::Withdrawn;
  auto attempt = [&](Result<void> cleared) {
    if (cleared.ok()) cleared = flush(target);
    if (!cleared.ok()) {
      log_warning("the partition table could not be taken away again", cleared.error());
    }
    return cleared.ok();
  };
  // While the boot sector may still be there, what it boots must not lose its end.
  if (!attempt(clear_head())) return;
  if (image_size > kHeldBack && !attempt(zero(target, body_end, padded(image_size) - body_end))) {
    return;
  }
  for (const DiskPatch& patch : patches) {
    ConstBytes after = after_image(patch);
    if (!after.empty() && !attempt(zero(target, patch.end() - after.size(), after.size()))) return;
  }
}

BlockWriter::BlockWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockWriter::~BlockWriter() = default;

Result<void> BlockWriter::write(ConstBytes bytes) {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->accept(bytes));
}

Result<void> BlockWriter::copy(Source& image) {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->copy(image));
}

Result<void> BlockWriter::finish() {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->finish());
}

Result<void> BlockWriter::verify() {
  State& s = *state_;
  if (s.failure) return *s.failure;
  if (s.phase == State::Phase::Writing) return Error("verify() was called before finish()");
  if (s.phase == State::Phase::Withdrawn) return Error("the disk holds no image any more");
  auto attempt = [&]() -> Result<void> {
    TRY(s.verify_body());
    if (s.phase == State::Phase::Finished) return {};
    TRY(s.check_tail());
    return s.check(0, s.head_bytes());
  };
  Result<void> result = s.remember(attempt());
  if (!result.ok() && s.phase == State::Phase::Committed) s.withdraw();
  return result;
}

Result<void> BlockWriter::commit(VerifiedDigest proof) {
  TRY(write_ends(proof));
  return write_first_sector();
}

Result<void> BlockWriter::write_ends(VerifiedDigest) {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->write_ends());
}

Result<void> BlockWriter::write_first_sector() {
  if (state_->failure) return *state_->failure;
  return state_->remember(state_->write_first_sector());
}

void BlockWriter::withdraw() {
  if (state_->phase == State::Phase::AllButFirst) state_->withdraw();
}

const WriterCounters& BlockWriter::counters() const { return state_->counters; }
uint64_t BlockWriter::image_size() const { return state_->image_size; }

}  // namespace curlingiron
