// The compressors of an initramfs, set so that every kernel that knows the format unpacks the
// result (Documentation/staging/xz.rst, lib/decompress_*.c) and so that the same bytes come out on
// every machine, whatever its number of processors.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class Compression { Xz, Zstd, Gzip, None };
enum class Effort { Best, Fast };
// What the bytes mostly are. Programs gain a few percent from the x86 branch filter, which the
// kernel's xz may lack (CONFIG_XZ_DEC_X86); modules lose by it.
enum class Contents { Modules, X86Program };

// "xz", "zstd", "gzip", "none"; another word is an error that lists them.
Result<Compression> parse_compression(std::string_view name);
std::string_view compression_name(Compression compression);
// "RD_XZ": the kernel option (without CONFIG_) that unpacks it; empty for None.
std::string_view kernel_option(Compression compression);

// One stream. Xz: CRC32, dictionary 8 MiB at most (the kernel allocates it). Zstd: window 128 MiB
// at most. The result's size is a multiple of 4, so that another archive can follow: the kernel
// skips the zeros.
Result<ByteVector> compress(ConstBytes bytes, Compression compression, Effort effort,
                            Contents contents);

// LZMA1 without a container, small rather than quick; `properties`: lc + 9 * (lp + 5 * pb).
struct RawLzma {
  uint8_t properties = 0;
  ByteVector bytes;
};
Result<RawLzma> compress_lzma(ConstBytes bytes);

}  // namespace curlingiron
