#include "io/inflate.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>

namespace curlingiron {
namespace {

std::string_view explain(int code) {
  switch (code) {
    case ISAL_INVALID_BLOCK: return "an invalid block header";
    case ISAL_INVALID_SYMBOL: return "an invalid symbol";
    case ISAL_INVALID_LOOKBACK: return "a distance that reaches before the start";
    default: return "inflate failed";
  }
}

}  // namespace

Inflater::Inflater() : state_(std::make_unique<inflate_state>()) {
  ::isal_inflate_init(state_.get());
}

Inflater::~Inflater() = default;

void Inflater::reset() {
  ::isal_inflate_reset(state_.get());
  ended_ = false;
  output_pending_ = false;
}

Result<size_t> Inflater::decode(CompressedInput& input, MutableBytes into) {
  constexpr size_t kMost = 1_GiB;  // ISA-L counts in 32 bits
  into = into.first(std::min(into.size(), kMost));
  ConstBytes compressed = input.rest();
  inflate_state& state = *state_;
  // ISA-L's interface knows no const; it does not write there.
  state.next_in = const_cast<uint8_t*>(compressed.data());
  state.avail_in = static_cast<uint32_t>(compressed.size());
  state.next_out = into.data();
  state.avail_out = static_cast<uint32_t>(into.size());
  int code = ::isal_inflate(&state);
  size_t taken = compressed.size() - state.avail_in;
  size_t produced = into.size() - state.avail_out;
  input.take(taken);
  if (code != ISAL_DECOMP_OK) return Error(std::string(explain(code)));
  if (state.block_state == ISAL_BLOCK_FINISH) {
    ended_ = true;
    // What was read ahead into the bit buffer lies after the stream.
    input.give_back(static_cast<size_t>(state.read_in_length) / 8);
  } else if (produced == 0 && taken == 0 && !compressed.empty()) {
    return Error("the decoder does not go on");
  }
  output_pending_ = !ended_ && produced == into.size();
  return produced;
}

uint32_t deflate_crc32(uint32_t crc, ConstBytes bytes) {
  return ::crc32_gzip_refl(crc, bytes.data(), bytes.size());
}

}  // namespace curlingiron
