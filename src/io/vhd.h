// Fixed virtual hard disks (Microsoft's "Virtual Hard Disk Image Format Specification", 2006): a
// raw image with a footer of 512 bytes after it.
#pragma once

#include <array>
#include <optional>

#include "io/source.h"

namespace curlingiron {

// Passes on a raw image, and holds back its last 512 bytes until the end shows what they are: a
// fixed VHD's footer is dropped, all else is part of the image. A footer that does not fit the
// bytes before it, and the one of an Apple disk image (dmg), are errors. Put it on top of the
// decoder: nothing in the head announces a footer. Costs a copy of 512 bytes a read.
inline constexpr size_t kVhdFooter = 512;

// `end`: the last kVhdFooter bytes of a file, with `before` bytes in front of them. True for the
// footer of a fixed disk of that size; an error for any other footer, and for the one of an Apple
// disk image (dmg).
Result<bool> has_vhd_footer(ConstBytes end, uint64_t before);

class VhdFooterSource final : public Source {
 public:
  explicit VhdFooterSource(Source& inner) : inner_(inner) {}
  Result<size_t> read(MutableBytes into) override;
  uint64_t zeros_ahead() override;
  void skip_zeros(uint64_t count) override;

 private:
  Result<void> judge_end();

  Source& inner_;
  std::array<uint8_t, kVhdFooter> held_;  // the last bytes read from inner_
  size_t held_size_ = 0;
  uint64_t passed_on_ = 0;
  bool ended_ = false;  // what is held is the image's end
  std::optional<Error> failure_;
};

}  // namespace curlingiron
