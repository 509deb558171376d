#include "io/vhd.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kCookie = "conectix";
constexpr uint32_t kFixedDisk = 2;
constexpr size_t kChecksumOffset = 64;

struct VhdFooter {
  uint64_t current_size = 0;
  uint32_t disk_type = 0;
};

// An error where it is none, or its checksum (the one's complement of the sum of all other bytes)
// is wrong.
Result<VhdFooter> parse_footer(ConstBytes bytes) {
  ByteReader in(bytes);
  if (as_text(TRY(in.take(kCookie.size()))) != kCookie) return Error("no VHD footer");
  TRY(in.skip(40));  // features to original size
  VhdFooter footer;
  footer.current_size = TRY(in.be64());
  TRY(in.skip(4));  // geometry
  footer.disk_type = TRY(in.be32());
  uint32_t checksum = TRY(in.be32());
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i < kChecksumOffset || i >= kChecksumOffset + 4) sum += bytes[i];
  }
  if (~sum != checksum) return Error("a VHD footer with a wrong checksum");
  return footer;
}

}  // namespace

Result<bool> has_vhd_footer(ConstBytes end, uint64_t before) {
  if (as_text(end.first(4)) == "koly") {
    return Error(
        "the image is an Apple disk image (dmg); convert it with \"hdiutil convert -format UDTO\" "
        "or \"dmg2img\"");
  }
  Result<VhdFooter> footer = parse_footer(end);
  if (!footer.ok()) return false;
  if (footer.value().disk_type != kFixedDisk) {
    return Error(
        "the image is a Hyper-V disk (VHD) that is not of fixed size; convert it with \"qemu-img "
        "convert -O raw\"");
  }
  if (footer.value().current_size == before) return true;
  return Error(concat("the image ends with a VHD footer for a disk of ",
                      footer.value().current_size, " bytes, but ", before,
                      " bytes came before it; it is cut off, or not the image"));
}

Result<size_t> VhdFooterSource::read(MutableBytes into) {
  if (failure_) return *failure_;
  if (into.size() <= kVhdFooter && !ended_) {
    // Through a buffer of its own, as what is held does not fit in front of new bytes.
    std::array<uint8_t, 2 * kVhdFooter> both;
    std::copy_n(held_.begin(), held_size_, both.begin());
    size_t filled = held_size_;
    while (filled <= kVhdFooter) {
      size_t room = std::min(both.size() - filled, into.size() + kVhdFooter - filled);
      size_t n = TRY(inner_.read(MutableBytes(both).subspan(filled, room)));
      filled += n;
      if (n != 0) {
        held_size_ = std::min(filled, kVhdFooter);
        std::copy_n(both.begin() + static_cast<ptrdiff_t>(filled - held_size_), held_size_,
                    held_.begin());
        continue;
      }
      TRY(judge_end());
      break;
    }
    if (!ended_) {
      size_t n = filled - kVhdFooter;
      std::copy_n(both.begin(), n, into.begin());
      passed_on_ += n;
      return n;
    }
  }
  while (!ended_) {
    std::copy_n(held_.begin(), held_size_, into.begin());
    size_t n = TRY(inner_.read(into.subspan(held_size_)));
    if (n == 0) {
      TRY(judge_end());
      break;
    }
    size_t filled = held_size_ + n;
    held_size_ = std::min(filled, kVhdFooter);
    std::copy_n(into.begin() + static_cast<ptrdiff_t>(filled - held_size_), held_size_,
                held_.begin());
    if (filled == held_size_) continue;
    passed_on_ += filled - held_size_;
    return filled - held_size_;
  }
  size_t n = std::min(into.size(), held_size_);
  std::copy_n(held_.begin(), n, into.begin());
  std::copy(held_.begin() + static_cast<ptrdiff_t>(n),
            held_.begin() + static_cast<ptrdiff_t>(held_size_), held_.begin());
  held_size_ -= n;
  return n;
}

Result<void> VhdFooterSource::judge_end() {
  ended_ = true;
  if (held_size_ < kVhdFooter) return {};
  Result<bool> footer = has_vhd_footer(held_, passed_on_);
  if (!footer.ok()) {
    failure_ = footer.error();
    return *failure_;
  }
  if (footer.value()) held_size_ = 0;
  return {};
}

// The bytes that come next are those held, then the inner source's; 512 must stay behind.
uint64_t VhdFooterSource::zeros_ahead() {
  if (ended_ || failure_) return 0;
  uint64_t inner = inner_.zeros_ahead();
  if (inner == 0 || !all_zero(ConstBytes(held_).first(held_size_))) return 0;
  uint64_t both = inner + held_size_;
  return both > kVhdFooter ? both - kVhdFooter : 0;
}

void VhdFooterSource::skip_zeros(uint64_t count) {
  if (count == 0) return;
  inner_.skip_zeros(count + kVhdFooter - held_size_);
  held_.fill(0);
  held_size_ = kVhdFooter;
  passed_on_ += count;
}

}  // namespace curlingiron
