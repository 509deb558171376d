// One compressed stream within a file that goes on after it, as in an initramfs: a gzip member, an
// xz, bzip2, lzma or lzop stream, a zstd or lz4 frame.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "io/decode.h"
#include "io/source.h"

namespace curlingiron {

class MemberSource : public Source {
 public:
  // Compressed bytes used; once read() has given 0, the whole length of the member.
  virtual uint64_t taken() const = 0;
};

// Gzip, Zstd, Xz, Bzip2, Lz4 (the legacy format, the only one that the kernel has), Lzma and Lzop.
// Decodes what begins at the first byte of `inner`, which must outlive it, up to that member's own
// end, and looks at nothing after. Truncation and a bad checksum are errors. A member of legacy
// lz4 has no end mark: as in the kernel (lib/decompress_unlz4.c) it ends before a block length of
// zero, the next magic, or the last 3 bytes; lzma(1)'s has no checksum.
// Memory is as open_decoder()'s; with lzma the dictionary.
Result<std::unique_ptr<MemberSource>> open_member(Format format, Source& inner,
                                                  DecodeLimits limits);

}  // namespace curlingiron
