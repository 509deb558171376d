#include "io/decoder.h"

#include <algorithm>

#include "base/log.h"

namespace curlingiron {

bool is_skippable_magic(ConstBytes bytes) {
  return has(bytes, 1, "\x2a\x4d\x18") && (bytes[0] & 0xf0) == 0x50;
}

ConstBytes after_skippable_frames(ConstBytes head) {
  ByteReader in(head);
  while (is_skippable_magic(in.rest())) {
    Result<uint32_t> length = in.skip(4).ok() ? in.le32() : Error("truncated");
    if (!length.ok() || !in.skip(length.value()).ok()) return {};
  }
  return in.rest();
}

Result<bool> CompressedInput::refill() {
  size_t kept = std::min(begin_, kGiveBack);
  if (begin_ != kept) {
    std::copy(buffer_.get() + begin_ - kept, buffer_.get() + end_, buffer_.get());
    end_ -= begin_ - kept;
    begin_ = kept;
  }
  size_t n = TRY(inner_.read({buffer_.get() + end_, kBuffer - end_}));
  end_ += n;
  received_ += n;
  return n != 0;
}

Result<void> CompressedInput::require(size_t count) {
  while (rest().size() < count) {
    if (!TRY(refill())) break;
  }
  return {};
}

Result<size_t> Decoder::read(MutableBytes into) {
  if (failure_) return *failure_;
  Result<size_t> n = decode(into);
  if (!n.ok()) failure_ = n.error();
  return n;
}

Error Decoder::truncated(uint64_t position) const {
  return Error(concat("the ", format_name(format_), " stream ends too early, at compressed byte ",
                      position, "; the file is incomplete"));
}

Error Decoder::damaged(std::string_view why, uint64_t position) const {
  return Error(concat("the ", format_name(format_), " stream is damaged near compressed byte ",
                      position, " (", why, "); get the file again, or check the original"));
}

Error Decoder::garbage_after_end(uint64_t position) const {
  std::string_view name = format_name(format_);
  return Error(concat("bytes that are not ", name, " follow the end of the ", name,
                      " stream near compressed byte ", position,
                      "; the file is not what it should be"));
}

Result<void> Decoder::pass_over_rest(bool checked, uint64_t end, bool zeros) {
  uint64_t most = checked ? limits_.most_after_checked : limits_.most_after_unchecked;
  do {
    zeros = zeros && all_zero(input_.rest());
    input_.take(input_.rest().size());
    if (!zeros && input_.position() - end > most) return garbage_after_end(end);
  } while (TRY(input_.refill()));
  if (zeros) return {};
  log_warning(concat(plural(input_.position() - end, "byte", "bytes"), " after the end of the ",
                     format_name(format_), " stream are passed over"));
  return {};
}

uint64_t decoder_memory(const DecodeLimits& limits) {
  return limits.memory > kBesideDecoder ? limits.memory - kBesideDecoder : 0;
}

}  // namespace curlingiron
