#include "io/member.h"

#include "io/decoder.h"

namespace curlingiron {

Result<std::unique_ptr<MemberSource>> open_member(Format format, Source& inner,
                                                  DecodeLimits limits) {
  switch (format) {
    case Format::Gzip: return open_gzip(inner, limits, Extent::Member);
    case Format::Zstd: return open_zstd(inner, limits, Extent::Member);
    case Format::Xz: return open_xz(inner, limits, Extent::Member);
    case Format::Bzip2: return open_bzip2(inner, limits, Extent::Member);
    case Format::Lz4: return open_lz4(inner, limits, Extent::Member);
    case Format::Lzma: return open_lzma(inner, limits);
    case Format::Lzop: return open_lzop(inner, limits);
    default: return Error(concat(format_name(format), " has no members that stand alone"));
  }
}

}  // namespace curlingiron
