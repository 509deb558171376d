#include "io/bzip2_block.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

// Of libbz2: the intervals at which bzip2 before 0.9.5 disturbed blocks that its sorting did not
// like.
extern "C" const int BZ2_rNums[512];

namespace curlingiron {
namespace {

constexpr unsigned kMostSymbols = 258;
constexpr unsigned kMostCodeLength = 20;
constexpr unsigned kMostCodes = 6;
constexpr unsigned kGroup = 50;  // symbols for which one code holds
constexpr unsigned kMostSelectors = 18'002;
constexpr unsigned kFastBits = 10;

}  // namespace

// Reads bits, highest first. After the end come zeros; overrun() reports it.
class Bzip2Block::Bits {
 public:
  Bits(ConstBytes bytes, uint64_t begin, uint64_t end)
      : bytes_(bytes), next_(static_cast<size_t>(begin / 8)), end_(end) {
    refill();
    drop(static_cast<unsigned>(begin % 8));
  }

  // At least 56 bits in the buffer afterwards.
  void refill() {
    if (next_ + 8 <= bytes_.size()) {
      uint64_t word = 0;
      std::memcpy(&word, bytes_.data() + next_, 8);
      if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
      buffer_ |= word >> have_;
      next_ += (63 - have_) / 8;
      have_ |= 56;
      return;
    }
    while (have_ <= 56) {
      uint64_t byte = next_ < bytes_.size() ? bytes_[next_] : 0;
      buffer_ |= byte << (56 - have_);
      ++next_;
      have_ += 8;
    }
  }

  // Without a refill: at most what is there.
  uint64_t top(unsigned count) const { return buffer_ >> (64 - count); }
  void drop(unsigned count) {
    buffer_ <<= count;
    have_ -= count;
  }

  uint32_t take(unsigned count) {  // 1 to 32
    refill();
    uint64_t value = top(count);
    drop(count);
    return static_cast<uint32_t>(value);
  }

  uint64_t position() const { return uint64_t{next_} * 8 - have_; }
  bool overrun() const { return position() > end_; }
  // What is wrong in bits that are there stays wrong.
  Outcome wrong() const { return overrun() ? Outcome::Cut : Outcome::Wrong; }
  Outcome at_end() const {
    if (position() == end_) return Outcome::Complete;
    return wrong();
  }

 private:
  ConstBytes bytes_;
  size_t next_;  // bytes
  uint64_t end_;
  uint64_t buffer_ = 0;
  unsigned have_ = 0;
};

// A canonical Huffman code. Lengths that make no proper one are taken as libbz2 takes them.
struct Bzip2Block::Code {
  // By the next kFastBits bits: symbol << 5 | length; 0 where the code is longer.
  std::array<uint16_t, 1 << kFastBits> fast;
  std::array<uint16_t, kMostSymbols> symbols;       // by length
  std::array<int32_t, kMostCodeLength + 2> last;    // the highest code of a length
  std::array<int32_t, kMostCodeLength + 2> offset;  // from a code to its place in `symbols`
  unsigned count = 0;
  unsigned shortest = 0;
  unsigned longest = 0;

  void build(std::span<const uint8_t> lengths) {
    count = static_cast<unsigned>(lengths.size());
    auto [low, high] = std::minmax_element(lengths.begin(), lengths.end());
    shortest = *low;
    longest = *high;
    unsigned place = 0;
    int32_t code = 0;
    for (unsigned length = shortest; length <= longest; ++length) {
      offset[length] = static_cast<int32_t>(place) - code;
      for (unsigned symbol = 0; symbol < count; ++symbol) {
        if (lengths[symbol] != length) continue;
        symbols[place++] = static_cast<uint16_t>(symbol);
        ++code;
      }
      last[length] = code - 1;
      code *= 2;
    }
    for (uint32_t bits = 0; bits < fast.size(); ++bits) {
      fast[bits] = 0;
      for (unsigned length = shortest; length <= std::min(longest, kFastBits); ++length) {
        int symbol = find(static_cast<int32_t>(bits >> (kFastBits - length)), length);
        if (symbol == kLonger) continue;
        // One that has no symbol is left to the slow way, which finds the same.
        if (symbol >= 0)
          fast[bits] = static_cast<uint16_t>(static_cast<unsigned>(symbol) << 5 | length);
        break;
      }
    }
  }

  static constexpr int kLonger = -1;
  static constexpr int kNone = -2;
  int find(int32_t code, unsigned length) const {
    if (code > last[length]) return kLonger;
    int32_t place = code + offset[length];
    if (place < 0 || place >= static_cast<int32_t>(count)) return kNone;
    return symbols[static_cast<size_t>(place)];
  }

  // Negative where there is none.
  int take_slowly(Bits& bits) const {
    for (unsigned length = shortest; length <= longest; ++length) {
      int symbol = find(static_cast<int32_t>(bits.top(length)), length);
      if (symbol == kLonger) continue;
      bits.drop(length);
      return symbol;
    }
    bits.drop(longest);
    return kNone;
  }
};

Bzip2Block::Outcome Bzip2Block::parse(ConstBytes bytes, uint64_t begin, uint64_t end) {
  Bits bits(bytes, begin, end);
  bits.take(16);
  bits.take(32);
  stored_crc_ = bits.take(32);
  randomised_ = bits.take(1) != 0;
  origin_ = bits.take(24);
  links_ = std::make_unique_for_overwrite<uint32_t[]>(kMostLength);
  Outcome outcome = parse_symbols(bits);
  if (outcome != Outcome::Complete) links_.reset();
  return outcome;
}

// What stands before a block's symbols.
struct Bzip2Block::Tables {
  std::array<uint8_t, 256> front;  // the bytes that occur, in order: the list for moving to front
  unsigned used = 0;               // of them
  std::vector<uint8_t> selectors;  // which code each group of symbols has
  std::vector<Code> codes;

  // Each returns whether it is a proper one.
  bool take_front(Bits& bits) {
    uint32_t rows = bits.take(16);
    for (unsigned row = 0; row < 16; ++row) {
      if ((rows >> (15 - row) & 1) == 0) continue;
      uint32_t columns = bits.take(16);
      for (unsigned column = 0; column < 16; ++column) {
        if ((columns >> (15 - column) & 1) == 0) continue;
        front[used++] = static_cast<uint8_t>(row * 16 + column);
      }
    }
    return used != 0;
  }

  bool take_selectors(Bits& bits) {
    unsigned code_count = bits.take(3);
    unsigned selector_count = bits.take(15);
    if (code_count < 2 || code_count > kMostCodes || selector_count == 0) return false;
    codes.resize(code_count);
    std::array<uint8_t, kMostCodes> order = {0, 1, 2, 3, 4, 5};
    selectors.resize(selector_count);
    for (uint8_t& selector : selectors) {
      unsigned place = 0;
      while (bits.take(1) != 0) {
        if (++place == code_count) return false;
      }
      selector = order[place];
      std::copy_backward(order.begin(), order.begin() + place, order.begin() + place + 1);
      order[0] = selector;
    }
    // libbz2 reads further ones, as some programs write them, and ignores them.
    if (selectors.size() > kMostSelectors) selectors.resize(kMostSelectors);
    return true;
  }

  bool take_codes(Bits& bits) {
    unsigned symbol_count = used + 2;
    for (Code& code : codes) {
      std::array<uint8_t, kMostSymbols> lengths;
      unsigned length = bits.take(5);
      for (unsigned symbol = 0; symbol < symbol_count; ++symbol) {
        for (;;) {
          if (length < 1 || length > kMostCodeLength || bits.overrun()) return false;
          if (bits.take(1) == 0) break;
          length += bits.take(1) == 0 ? 1 : -1u;
        }
        lengths[symbol] = static_cast<uint8_t>(length);
      }
      code.build(std::span(lengths).first(symbol_count));
    }
    return true;
  }
};

Bzip2Block::Outcome Bzip2Block::parse_symbols(Bits& bits) {
  Tables tables;
  bool proper = tables.take_front(bits) && tables.take_selectors(bits) && tables.take_codes(bits);
  if (!proper) return bits.wrong();
  std::array<uint8_t, 256>& front = tables.front;
  unsigned end_symbol = tables.used + 1;

  uint32_t counts[256] = {};
  uint32_t* links = links_.get();
  uint32_t length = 0;
  uint32_t run = 0;     // of the byte in front
  uint32_t weight = 1;  // of the next digit of that
  constexpr uint32_t kMostWeight = 2 << 20;
  for (uint8_t selector : tables.selectors) {
    const Code& code = tables.codes[selector];
    for (unsigned i = 0; i < kGroup; ++i) {
      bits.refill();
      unsigned symbol = 0;
      if (uint16_t known = code.fast[bits.top(kFastBits)]; known != 0) {
        symbol = known >> 5;
        bits.drop(known & 31);
      } else {
        int slow = code.take_slowly(bits);
        if (slow < 0) return bits.wrong();
        symbol = static_cast<unsigned>(slow);
      }
      if (symbol <= 1) {  // A digit of a run's length, in base 2 with the digits 1 and 2.
        if (weight >= kMostWeight) return bits.wrong();
        run += weight << symbol;
        weight *= 2;
        continue;
      }
      if (weight != 1) {
        if (run > kMostLength - length) return bits.wrong();
        std::fill_n(links + length, run, uint32_t{front[0]});
        counts[front[0]] += run;
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol == end_symbol) {
        if (Outcome outcome = bits.at_end(); outcome != Outcome::Complete) return outcome;
        if (origin_ >= length) return Outcome::Wrong;
        length_ = length;
        link(counts);
        return Outcome::Complete;
      }
      if (length == kMostLength) return bits.wrong();
      unsigned place = symbol - 1;
      uint8_t byte = front[place];
      if (place < 16) {
        for (; place != 0; --place) front[place] = front[place - 1];
      } else {
        std::memmove(front.data() + 1, front.data(), place);
      }
      front[0] = byte;
      ++counts[byte];
      links[length++] = byte;
    }
    if (bits.overrun()) return Outcome::Cut;
  }
  return bits.wrong();  // Symbols go on where no code is selected.
}

// The sorted column's n-th byte of a value is the last column's n-th byte of that value.
void Bzip2Block::link(const uint32_t (&counts)[256]) {
  uint32_t starts[256];
  uint32_t sum = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    starts[byte] = sum;
    sum += counts[byte];
  }
  uint32_t* links = links_.get();
  for (uint32_t i = 0; i < length_; ++i) {
    uint8_t byte = static_cast<uint8_t>(links[i]);
    links[starts[byte]++] |= i << 8;
  }
  next_ = links[origin_] >> 8;
}

size_t Bzip2Block::decode(MutableBytes into) {
  size_t produced = randomised_ ? expand<true>(into) : expand<false>(into);
  crc_ = ::crc32_ieee(crc_, into.data(), produced);
  if (given_ == length_ && repeats_ == 0) links_.reset();
  return produced;
}

template <bool kRandomised>
size_t Bzip2Block::expand(MutableBytes into) {
  uint8_t* out = into.data();
  uint8_t* const end = out + into.size();
  const uint32_t* links = links_.get();
  uint32_t next = next_;
  uint32_t given = given_;
  int last = last_;
  unsigned same = same_;
  for (;;) {
    if (repeats_ != 0) {
      size_t n = std::min<size_t>(repeats_, static_cast<size_t>(end - out));
      std::memset(out, last, n);
      out += n;
      repeats_ -= static_cast<unsigned>(n);
      if (repeats_ != 0) break;
      last = -1;
    }
    while (out != end && given != length_) {
      next = links[next];
      int byte = static_cast<int>(next & 0xff);
      next >>= 8;
      ++given;
      if constexpr (kRandomised) {
        if (random_left_ == 0) {
          random_left_ = static_cast<unsigned>(BZ2_rNums[random_index_]);
          random_index_ = (random_index_ + 1) % 512;
        }
        byte ^= --random_left_ == 1 ? 1 : 0;
      }
      if (same == 4) {  // How often the byte comes further.
        same = 0;
        repeats_ = static_cast<unsigned>(byte);
        if (repeats_ != 0) break;
        last = -1;
        continue;
      }
      same = byte == last ? same + 1 : 1;
      last = byte;
      *out++ = static_cast<uint8_t>(byte);
    }
    if (repeats_ == 0 || out == end) break;
  }
  next_ = next;
  given_ = given;
  last_ = last;
  same_ = same;
  return static_cast<size_t>(out - into.data());
}

}  // namespace curlingiron
