// bzip2 on all cores. The format has no specification beside its program (bzip2 1.0.8); blocks
// begin at any bit, with a mark of 48 bits, and know nothing of each other. So the marks are
// searched, what lies between two of them is decoded by whichever thread is free, and the blocks
// are handed out in order. A mark that stands inside a block by chance (or by malice) cuts that
// block, whose decoding then fails: it is tried again up to the marks after. Each block's CRC is
// checked, and the one over a stream's blocks.
#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "io/bzip2_block.h"
#include "io/decoder.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr uint64_t kBlockMark = 0x314159265359;  // pi
constexpr uint64_t kEndMark = 0x177245385090;    // its square root
constexpr unsigned kMarkBits = Bzip2Block::kMarkBits;
constexpr unsigned kCrcBits = Bzip2Block::kCrcBits;
constexpr size_t kHeader = 4;  // "BZh" and the level

// The longest block: 900,000 symbols and the end's, of 20 bits each, and the tables.
constexpr uint64_t kMostBlockBits = 3_MiB * 8;
constexpr int kMostJoins = 64;
// A block of zeros is up to 46 MiB. Runs of zeros are counted, not kept; beyond this many other
// bytes, decoding goes on when the block's turn has come.
constexpr size_t kMostKept = 2_MiB;
constexpr size_t kGranule = 64_KiB;
constexpr unsigned kMostThreads = 64;
// What a thread costs: its own block and one that is done, each up to kMostKept, 3.5 MiB of links
// and the compressed bytes.
constexpr uint64_t kMemoryPerThread = 16_MiB;

// For a byte, the ways in which it can be the third byte of a mark: bit `shift` for a block's mark
// that begins `shift` bits into the first byte, bit 8 + `shift` for an end's.
constexpr std::array<uint16_t, 256> make_third_bytes() {
  std::array<uint16_t, 256> table{};
  for (unsigned shift = 0; shift < 8; ++shift) {
    table[kBlockMark >> (24 + shift) & 0xff] |= static_cast<uint16_t>(1u << shift);
    table[kEndMark >> (24 + shift) & 0xff] |= static_cast<uint16_t>(1u << (8 + shift));
  }
  return table;
}
constexpr std::array<uint16_t, 256> kThirdBytes = make_third_bytes();

// The bits between two marks, and what became of them.
struct Block {
  // Cut: the block goes on after the bits; nothing was decoded. More: there is more than was
  // asked for.
  enum class Outcome { Cut, Wrong, More, Complete };
  struct Run {
    bool zeros;
    uint64_t length;
  };

  Block(uint64_t first, uint64_t last) : begin(first), end(last) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void add_run(bool zeros, uint64_t length) {
    if (runs.empty() || runs.back().zeros != zeros) runs.push_back({zeros, 0});
    runs.back().length += length;
  }

  // As much as fits; the outcome is More where that is all of `into`.
  size_t decode(MutableBytes into) {
    size_t produced = decoder.decode(into);
    if (produced < into.size()) {
      outcome = decoder.is_right() ? Outcome::Complete : Outcome::Wrong;
    }
    return produced;
  }

  // Decodes up to `most` bytes that are not zeros.
  void run(size_t most) {
    switch (decoder.parse(compressed, begin % 8, begin % 8 + end - begin)) {
      case Bzip2Block::Outcome::Complete: outcome = Outcome::More; break;
      case Bzip2Block::Outcome::Cut: outcome = Outcome::Cut; break;
      case Bzip2Block::Outcome::Wrong: outcome = Outcome::Wrong; break;
    }
    compressed = ByteVector();
    while (outcome == Outcome::More && kept.size() < most) {
      size_t old = kept.size();
      kept.resize(old + kGranule);
      size_t produced = decode(MutableBytes(kept).subspan(old));
      kept.resize(old + produced);
      if (produced == 0) continue;
      bool zeros = all_zero(ConstBytes(kept).subspan(old));
      if (zeros) kept.resize(old);
      add_run(zeros, produced);
    }
  }

  uint64_t begin;         // bits of the file, from the block's mark
  uint64_t end;           // to the next mark
  ByteVector compressed;  // from the byte that `begin` is in
  Bzip2Block decoder;
  Outcome outcome = Outcome::Cut;
  std::vector<Run> runs;
  ByteVector kept;  // the runs that are not zeros
  // What was handed out: of the runs, of the run, of the kept bytes.
  size_t runs_given = 0;
  uint64_t run_given = 0;
  size_t kept_given = 0;

  enum class Progress { Queued, Running, Done };
  Progress progress = Progress::Queued;  // under the crew's mutex
};

// Threads that decode blocks in the order in which they are handed over.
class Crew {
 public:
  ~Crew() { stop(); }

  // Waits for the blocks under way; what is queued stays as it is.
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    threads_.clear();
  }

  // Fewer where the machine does not let more start; none is possible.
  void start(unsigned count) {
    while (threads_.size() < count) {
      Result<Thread> thread = Thread::start([this] { work(); });
      if (!thread.ok()) return;
      threads_.push_back(std::move(thread).value());
    }
  }
  size_t size() const { return threads_.size(); }

  void add(Block& block) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(&block);
    }
    work_.notify_one();
  }

  bool is_done(const Block& block) {
    std::lock_guard lock(mutex_);
    return block.progress == Block::Progress::Done;
  }

  void wait(const Block& block) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return block.progress == Block::Progress::Done; });
  }

  // Afterwards no thread knows the block.
  void withdraw(const Block& block) {
    std::unique_lock lock(mutex_);
    std::erase(queue_, &block);
    done_.wait(lock, [&] { return block.progress != Block::Progress::Running; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      Block& block = *queue_.front();
      queue_.pop_front();
      block.progress = Block::Progress::Running;
      lock.unlock();
      block.run(kMostKept);
      lock.lock();
      block.progress = Block::Progress::Done;
      done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Block*> queue_;
  bool stop_ = false;
  std::vector<Thread> threads_;
};

class Bzip2Decoder final : public Decoder {
 public:
  Bzip2Decoder(Source& inner, const DecodeLimits& limits, Extent extent)
      : Decoder(Format::Bzip2, inner, limits, extent) {
    uint64_t affordable = decoder_memory(limits) / kMemoryPerThread;
    unsigned threads =
        static_cast<unsigned>(std::min<uint64_t>({limits.threads, kMostThreads, affordable}));
    if (threads > 1) crew_.start(threads);
    most_blocks_ = std::max<size_t>(2 * crew_.size(), 1);
  }
  ~Bzip2Decoder() override { crew_.stop(); }

  uint64_t taken() const override { return byte_position(); }

  uint64_t zeros_ahead() override {
    if (current_ == nullptr || current_->runs_given == current_->runs.size()) return 0;
    const Block::Run& run = current_->runs[current_->runs_given];
    return run.zeros ? run.length - current_->run_given : 0;
  }

  void skip_zeros(uint64_t count) override {
    if (count == 0) return;
    give(count);
    finish_block();
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      if (current_ != nullptr) {
        size_t produced = TRY(hand_out(into));
        if (produced != 0) return produced;
        continue;
      }
      switch (next_) {
        case Next::StreamHeader: TRY(read_stream_header()); break;
        case Next::Mark: TRY(read_mark()); break;
        case Next::Nothing: return size_t{0};
      }
    }
  }

 private:
  enum class Next { StreamHeader, Mark, Nothing };

  // Where the reader is, for messages.
  uint64_t byte_position() const { return position_ / 8; }
  // Of the byte after the last one in the window.
  uint64_t window_end() const { return window_begin_ + window_.size(); }

  ConstBytes window_from(uint64_t byte) const {
    return ConstBytes(window_).subspan(static_cast<size_t>(byte - window_begin_));
  }

  // The `count` (at most 48) bits from bit `at` on, which must be in the window.
  uint64_t bits(uint64_t at, unsigned count) const {
    ConstBytes bytes = window_from(at / 8);
    unsigned shift = static_cast<unsigned>(at % 8);
    uint64_t value = 0;
    unsigned needed = (shift + count + 7) / 8;
    for (unsigned i = 0; i < needed; ++i) value = value << 8 | bytes[i];
    return value >> (needed * 8 - shift - count) & ((uint64_t{1} << count) - 1);
  }

  // More of the file in the window; false where there is none. An error waits until what came
  // before it is used up.
  bool pull() {
    if (input_ended_ || input_failure_) return false;
    if (input().empty()) {
      Result<bool> more = input().refill();
      if (!more.ok()) {
        input_failure_ = more.error();
        return false;
      }
      if (!more.value()) {
        input_ended_ = true;
        return false;
      }
    }
    ConstBytes rest = input().rest();
    window_.insert(window_.end(), rest.begin(), rest.end());
    input().take(rest.size());
    return true;
  }

  // True when the window holds the bits from position_ on.
  bool have_bits(unsigned count) {
    while (window_end() * 8 < position_ + count) {
      if (!pull()) return false;
    }
    return true;
  }

  Error no_more_input() { return input_failure_ ? *input_failure_ : truncated(window_end()); }

  void move_to(uint64_t position) {
    position_ = position;
    scanned_ = std::max(scanned_, byte_position());
    while (!marks_.empty() && marks_.front() <= position_) marks_.pop_front();
    size_t unused = static_cast<size_t>(byte_position() - window_begin_);
    if (unused < 1_MiB && unused != window_.size()) return;
    window_.erase(window_.begin(), window_.begin() + static_cast<ptrdiff_t>(unused));
    window_begin_ += unused;
  }

  // The next stream, the end, or what is none of both.
  Result<void> read_stream_header() {
    bool whole = have_bits(kHeader * 8);
    if (!whole && input_failure_) return *input_failure_;
    ConstBytes next = window_from(byte_position());
    if (next.empty()) {
      if (!seen_stream_) return truncated(window_end());
      next_ = Next::Nothing;
      return {};
    }
    if (whole && has(next, 0, "BZh") && next[3] >= '1' && next[3] <= '9') {
      seen_stream_ = true;
      combined_crc_ = 0;
      most_length_ = (next[3] - '0') * 100'000u;
      move_to(position_ + kHeader * 8);
      next_ = Next::Mark;
      return {};
    }
    if (!whole && has(as_bytes("BZh"), 0, next)) return truncated(window_end());
    if (!seen_stream_) return damaged("no bzip2 header", byte_position());
    if (input_failure_) return *input_failure_;
    TRY(pass_over_rest(true, byte_position(), next));
    next_ = Next::Nothing;
    return {};
  }

  Result<void> read_mark() {
    if (!have_bits(kMarkBits)) return no_more_input();
    uint64_t mark = bits(position_, kMarkBits);
    if (mark == kBlockMark) {
      current_ = TRY(next_block());
      if (is_too_long(*current_)) {
        current_.reset();
        return damaged("a block longer than the header allows", byte_position());
      }
      return {};
    }
    if (mark != kEndMark) return damaged("no block where one should begin", byte_position());
    if (!have_bits(kMarkBits + kCrcBits)) return no_more_input();
    if (bits(position_ + kMarkBits, kCrcBits) != combined_crc_) {
      return damaged("a wrong checksum over all blocks", byte_position());
    }
    move_to(round_up(position_ + kMarkBits + kCrcBits, 8));
    next_ = extent() == Extent::Member ? Next::Nothing : Next::StreamHeader;
    return {};
  }

  // libbz2's bound; blocks are decoded ahead, before it is known which stream they are of.
  bool is_too_long(const Block& block) const {
    return block.outcome != Block::Outcome::Wrong && block.decoder.length() > most_length_;
  }

  std::unique_ptr<Block> cut_block(uint64_t begin, uint64_t end) const {
    auto block = std::make_unique<Block>(begin, end);
    ConstBytes bytes = window_from(begin / 8);
    bytes = bytes.first(static_cast<size_t>((end + 7) / 8 - begin / 8));
    block->compressed.assign(bytes.begin(), bytes.end());
    return block;
  }

  bool can_scan() const {
    if (window_end() * 8 > std::max(last_mark_, position_) + kMostBlockBits + kMarkBits &&
        scanned_ + 7 > window_end()) {
      return false;  // Too long for a block, and for what may stand between two streams.
    }
    return scanned_ + 7 <= window_end() || (!input_ended_ && !input_failure_);
  }

  // Searches marks up to the next that ends a block, or to the window's end, or has more in the
  // window. It needs can_scan().
  void scan() {
    if (scanned_ + 7 > window_end()) {
      pull();
      return;
    }
    const uint8_t* from = window_from(scanned_).data();
    size_t count = static_cast<size_t>(window_end() - scanned_) - 6;
    size_t blocks = blocks_.size();
    for (size_t i = 0; i < count; ++i) {
      uint16_t candidates = kThirdBytes[from[i + 2]];
      if (candidates == 0) continue;
      uint64_t value = 0;
      for (size_t k = 0; k < 7; ++k) value = value << 8 | from[i + k];
      for (unsigned shift = 0; shift < 8; ++shift) {
        uint64_t mark = value >> (8 - shift) & ((uint64_t{1} << kMarkBits) - 1);
        if (mark == kBlockMark || mark == kEndMark) {
          add_mark((scanned_ + i) * 8 + shift, mark == kBlockMark);
        }
      }
      if (blocks_.size() != blocks) {
        scanned_ += i + 1;
        return;
      }
    }
    scanned_ += count;
  }

  void add_mark(uint64_t at, bool begins_block) {
    if (last_begins_block_ && at - last_mark_ >= kMarkBits + kCrcBits &&
        at - last_mark_ <= kMostBlockBits && last_mark_ >= position_) {
      blocks_.push_back(cut_block(last_mark_, at));
      if (crew_.size() != 0) crew_.add(*blocks_.back());
    }
    last_mark_ = at;
    last_begins_block_ = begins_block;
    if (at > position_) marks_.push_back(at);
  }

  void drop_blocks_before(uint64_t position) {
    while (!blocks_.empty() && blocks_.front()->begin < position) {
      crew_.withdraw(*blocks_.front());
      blocks_.pop_front();
    }
  }

  // The block that begins at position_, decoded as far as it is.
  Result<std::unique_ptr<Block>> next_block() {
    drop_blocks_before(position_);
    while (blocks_.empty() && can_scan()) scan();
    std::unique_ptr<Block> block;
    if (!blocks_.empty() && blocks_.front()->begin == position_) {
      Block& first = *blocks_.front();
      if (crew_.size() == 0) {
        first.run(1);
      } else {
        await_first();
      }
      block = take_first();
    } else if (marks_.empty()) {
      if (input_ended_ || input_failure_) return no_more_input();
      return damaged("a block that does not end", byte_position());
    } else {  // A mark within the first bits of the block.
      block = std::make_unique<Block>(position_, position_);
    }
    for (int joins = 0; block->outcome == Block::Outcome::Cut; ++joins) {
      if (joins == kMostJoins) return damaged("wrong data in a block", byte_position());
      block = TRY(join(*block));
    }
    return block;
  }

  // The others get to work while this one is not done.
  void await_first() {
    Block& first = *blocks_.front();
    while (!crew_.is_done(first) && blocks_.size() < most_blocks_ && can_scan()) scan();
    crew_.wait(first);
  }

  // Another one gets to work in its place.
  std::unique_ptr<Block> take_first() {
    std::unique_ptr<Block> block = std::move(blocks_.front());
    blocks_.pop_front();
    size_t left = blocks_.size();
    while (crew_.size() != 0 && blocks_.size() == left && can_scan()) scan();
    return block;
  }

  // The block up to the mark after the one that cut it.
  Result<std::unique_ptr<Block>> join(const Block& cut) {
    auto later = [&] {
      return std::find_if(marks_.begin(), marks_.end(), [&](uint64_t mark) {
        return mark > cut.end && mark - cut.begin >= kMarkBits + kCrcBits;
      });
    };
    while (later() == marks_.end() && can_scan()) scan();
    if (later() == marks_.end() || *later() - cut.begin > kMostBlockBits) {
      if (input_failure_) return *input_failure_;
      return damaged("wrong data in a block", byte_position());
    }
    uint64_t end = *later();
    drop_blocks_before(end);
    std::unique_ptr<Block> block = cut_block(cut.begin, end);
    block->run(kMostKept);
    return block;
  }

  void give(uint64_t count) {
    Block& block = *current_;
    block.run_given += count;
    if (block.run_given == block.runs[block.runs_given].length) {
      block.run_given = 0;
      ++block.runs_given;
    }
  }

  Result<size_t> hand_out(MutableBytes into) {
    Block& block = *current_;
    size_t given = 0;
    while (given < into.size() && block.runs_given < block.runs.size()) {
      const Block::Run& run = block.runs[block.runs_given];
      // Zeros that are ahead can be had for nothing.
      if (run.zeros && given != 0) break;
      size_t n = static_cast<size_t>(
          std::min<uint64_t>(into.size() - given, run.length - block.run_given));
      if (run.zeros) {
        std::fill_n(into.data() + given, n, uint8_t{0});
      } else {
        std::copy_n(block.kept.data() + block.kept_given, n, into.data() + given);
        block.kept_given += n;
      }
      given += n;
      give(n);
    }
    if (given == 0 && block.outcome == Block::Outcome::More) given = block.decode(into);
    if (given == 0 && block.outcome == Block::Outcome::Wrong) {
      current_.reset();
      return damaged("wrong data or a wrong checksum in a block", byte_position());
    }
    finish_block();
    return given;
  }

  // Where the block has come to its end, the next one is waited for if it is at work: so its zeros
  // are seen ahead.
  void finish_block() {
    Block& block = *current_;
    if (block.runs_given != block.runs.size() || block.outcome != Block::Outcome::Complete) return;
    combined_crc_ = std::rotl(combined_crc_, 1) ^ block.decoder.crc();
    uint64_t end = block.end;
    current_.reset();
    move_to(end);
    if (crew_.size() == 0 || window_end() * 8 < position_ + kMarkBits ||
        bits(position_, kMarkBits) != kBlockMark) {
      return;
    }
    drop_blocks_before(position_);
    if (blocks_.empty() || blocks_.front()->begin != position_) return;
    await_first();
    // read_mark() comes to it.
    if (blocks_.front()->outcome == Block::Outcome::Cut || is_too_long(*blocks_.front())) return;
    current_ = take_first();
  }

  // The file's bytes from position_ on, as far as they were read.
  ByteVector window_;
  uint64_t window_begin_ = 0;  // bytes
  bool input_ended_ = false;
  std::optional<Error> input_failure_;

  // In order: what was found right so far.
  uint64_t position_ = 0;  // bits
  Next next_ = Next::StreamHeader;
  bool seen_stream_ = false;
  uint32_t combined_crc_ = 0;  // of the stream's blocks so far
  uint32_t most_length_ = 0;   // of a block, by the stream's level
  std::unique_ptr<Block> current_;

  // Ahead: marks that may be real, and the blocks between them.
  uint64_t scanned_ = 0;  // bytes
  uint64_t last_mark_ = 0;
  bool last_begins_block_ = false;
  std::deque<uint64_t> marks_;  // after position_
  Crew crew_;
  std::deque<std::unique_ptr<Block>> blocks_;
  size_t most_blocks_ = 1;
};

}  // namespace

Opened open_bzip2(Source& inner, const DecodeLimits& limits, Extent extent) {
  return std::unique_ptr<MemberSource>(std::make_unique<Bzip2Decoder>(inner, limits, extent));
}

}  // namespace curlingiron
