// LZMA1 without a container, decoded into memory (Igor Pavlov, "LZMA specification"). Without the
// standard library: it is compiled into the small program that a script carries.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace curlingiron::unpack {

enum class Outcome { Done, CutOff, Damaged };

// Bits of which each has a probability that adapts. Input: `int next()`, a byte or -1.
template <typename Input>
class RangeDecoder {
 public:
  explicit RangeDecoder(Input& input) : input_(input) {
    first_ = byte();
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | byte();
  }

  bool is_cut_off() const { return cut_off_; }
  bool is_damaged() const { return first_ != 0; }

  uint32_t bit(uint16_t& probability) {
    normalize();
    uint32_t bound = (range_ >> kModelBits) * probability;
    if (code_ < bound) {
      range_ = bound;
      probability = static_cast<uint16_t>(probability + ((kModelTotal - probability) >> kMoveBits));
      return 0;
    }
    range_ -= bound;
    code_ -= bound;
    probability = static_cast<uint16_t>(probability - (probability >> kMoveBits));
    return 1;
  }

  // Bits of an even chance, the highest first.
  uint32_t direct(unsigned count) {
    uint32_t value = 0;
    for (; count != 0; --count) {
      normalize();
      range_ >>= 1;
      uint32_t one = code_ >= range_ ? 1 : 0;
      if (one != 0) code_ -= range_;
      value = value << 1 | one;
    }
    return value;
  }

  // A number of so many bits, the highest first; its probabilities are a tree.
  uint32_t tree(uint16_t* probabilities, unsigned bits) {
    uint32_t node = 1;
    for (unsigned i = 0; i < bits; ++i) node = node << 1 | bit(probabilities[node]);
    return node - (1u << bits);
  }

  // The same, the lowest first.
  uint32_t reverse_tree(uint16_t* probabilities, unsigned bits) {
    uint32_t node = 1;
    uint32_t value = 0;
    for (unsigned i = 0; i < bits; ++i) {
      uint32_t one = bit(probabilities[node]);
      node = node << 1 | one;
      value |= one << i;
    }
    return value;
  }

 private:
  static constexpr unsigned kModelBits = 11;
  static constexpr uint32_t kModelTotal = 1u << kModelBits;
  static constexpr unsigned kMoveBits = 5;
  static constexpr uint32_t kTop = 1u << 24;

  uint32_t byte() {
    int value = cut_off_ ? -1 : input_.next();
    if (value < 0) cut_off_ = true;
    return cut_off_ ? 0 : static_cast<uint32_t>(value);
  }

  void normalize() {
    if (range_ >= kTop) return;
    range_ <<= 8;
    code_ = code_ << 8 | byte();
  }

  Input& input_;
  uint32_t range_ = 0xffffffff;
  uint32_t code_ = 0;
  uint32_t first_ = 0;
  bool cut_off_ = false;
};

// As large as the program's properties make it: static storage suits it.
class LzmaDecoder {
 public:
  // Fills `out` with exactly `size` bytes. `properties`: lc + 9 * (lp + 5 * pb), where lc + lp is
  // at most 4. Errors leave any bytes in `out`.
  template <typename Input>
  Outcome decode(Input& input, uint8_t properties, uint8_t* out, size_t size) {
    if (!reset(properties)) return Outcome::Damaged;
    RangeDecoder<Input> in(input);
    if (in.is_damaged()) return Outcome::Damaged;
    size_t done = 0;
    while (done < size) {
      if (in.is_cut_off()) return Outcome::CutOff;
      uint32_t position = static_cast<uint32_t>(done) & position_mask_;
      if (in.bit(is_match_[state_][position]) == 0) {
        put_literal(in, out, done);
        continue;
      }
      size_t length = 1;
      if (in.bit(is_repeat_[state_]) != 0) {
        if (done == 0) return Outcome::Damaged;
        bool is_long = choose_distance(in, position);
        state_ = is_long ? (state_ < kLiteralStates ? 8 : 11) : (state_ < kLiteralStates ? 9 : 11);
        if (is_long) length = kShortest + repeat_length_.decode(in, position);
      } else {
        length = kShortest + match_length_.decode(in, position);
        state_ = state_ < kLiteralStates ? 7 : 10;
        for (int i = 3; i > 0; --i) distance_[i] = distance_[i - 1];
        distance_[0] = match_distance(in, length - kShortest);
      }
      // The end mark, a distance of all ones, comes too early, too.
      if (distance_[0] >= done || length > size - done) return Outcome::Damaged;
      for (; length != 0; --length, ++done) out[done] = out[done - distance_[0] - 1];
    }
    return in.is_cut_off() ? Outcome::CutOff : Outcome::Done;
  }

 private:
  static constexpr unsigned kStates = 12;
  static constexpr unsigned kLiteralStates = 7;  // those after a literal
  static constexpr unsigned kPositions = 16;
  static constexpr size_t kShortest = 2;
  static constexpr uint16_t kEven = 1024;
  static constexpr unsigned kMostLiteralBits = 4;
  static constexpr size_t kPerLiteral = 0x300;

  struct Length {
    uint16_t choice[2];
    uint16_t low[kPositions][8];
    uint16_t middle[kPositions][8];
    uint16_t high[256];

    template <typename Input>
    size_t decode(RangeDecoder<Input>& in, uint32_t position) {
      if (in.bit(choice[0]) == 0) return in.tree(low[position], 3);
      if (in.bit(choice[1]) == 0) return 8 + in.tree(middle[position], 3);
      return 16 + in.tree(high, 8);
    }
  };

  // All of them are as likely to be 0 as 1.
  static void even(uint16_t& probability) { probability = kEven; }
  template <typename T, size_t count>
  static void even(T (&probabilities)[count]) {
    for (T& each : probabilities) even(each);
  }
  static void even(Length& length) {
    even(length.choice);
    even(length.low);
    even(length.middle);
    even(length.high);
  }

  bool reset(uint8_t properties) {
    if (properties >= 9 * 5 * 5) return false;
    literal_bits_ = properties % 9;
    unsigned rest = properties / 9;
    literal_position_bits_ = rest % 5;
    position_mask_ = (1u << (rest / 5)) - 1;
    if (literal_bits_ + literal_position_bits_ > kMostLiteralBits) return false;
    even(literal_);
    even(is_match_);
    even(is_repeat_);
    even(is_older_);
    even(is_long_);
    even(slot_);
    even(special_);
    even(align_);
    even(match_length_);
    even(repeat_length_);
    state_ = 0;
    for (uint32_t& distance : distance_) distance = 0;
    return true;
  }

  template <typename Input>
  void put_literal(RangeDecoder<Input>& in, uint8_t* out, size_t& done) {
    uint32_t before = done == 0 ? 0 : out[done - 1];
    uint32_t position = static_cast<uint32_t>(done) & ((1u << literal_position_bits_) - 1);
    uint32_t context = (position << literal_bits_) + (before >> (8 - literal_bits_));
    uint16_t* probabilities = literal_ + kPerLiteral * context;
    uint32_t symbol = 1;
    if (state_ >= kLiteralStates) {
      // The byte that a match would go on with: for as long as it is right, it says which
      // probabilities are used.
      uint32_t expected = out[done - distance_[0] - 1];
      while (symbol < 0x100) {
        uint32_t guess = expected >> 7 & 1;
        expected <<= 1;
        uint32_t one = in.bit(probabilities[((1 + guess) << 8) + symbol]);
        symbol = symbol << 1 | one;
        if (guess != one) break;
      }
    }
    while (symbol < 0x100) symbol = symbol << 1 | in.bit(probabilities[symbol]);
    out[done++] = static_cast<uint8_t>(symbol);
    state_ = state_ < 4 ? 0 : state_ < 10 ? state_ - 3 : state_ - 6;
  }

  // Makes one of the last four distances the last one; false: of a single byte.
  template <typename Input>
  bool choose_distance(RangeDecoder<Input>& in, uint32_t position) {
    if (in.bit(is_older_[0][state_]) == 0) return in.bit(is_long_[state_][position]) != 0;
    unsigned which = 1;
    while (which < 3 && in.bit(is_older_[which][state_]) != 0) ++which;
    uint32_t chosen = distance_[which];
    for (unsigned i = which; i > 0; --i) distance_[i] = distance_[i - 1];
    distance_[0] = chosen;
    return true;
  }

  // `length`: beyond the shortest.
  template <typename Input>
  uint32_t match_distance(RangeDecoder<Input>& in, size_t length) {
    uint32_t slot = in.tree(slot_[length < 4 ? length : 3], 6);
    if (slot < 4) return slot;
    unsigned bits = (slot >> 1) - 1;
    uint32_t distance = (2 | (slot & 1)) << bits;
    if (slot < kFirstDirect) {
      return distance + in.reverse_tree(special_ + distance - slot, bits);
    }
    distance += in.direct(bits - 4) << 4;
    return distance + in.reverse_tree(align_, 4);
  }

  static constexpr uint32_t kFirstDirect = 14;

  uint16_t literal_[kPerLiteral << kMostLiteralBits];
  uint16_t is_match_[kStates][kPositions];
  uint16_t is_repeat_[kStates];
  uint16_t is_older_[3][kStates];
  uint16_t is_long_[kStates][kPositions];
  uint16_t slot_[4][64];
  uint16_t special_[1 + 128 - kFirstDirect];
  uint16_t align_[16];
  Length match_length_;
  Length repeat_length_;

  unsigned literal_bits_ = 0;
  unsigned literal_position_bits_ = 0;
  uint32_t position_mask_ = 0;
  unsigned state_ = 0;
  uint32_t distance_[4] = {};
};

}  // namespace curlingiron::unpack
