// Which parts of ISA-L are linked: inflating and two sums. The library is the distribution's, as it
// is: but its tables of "the best function for this processor" stand together for all that it can
// do, and so pull its packers and the sums of iSCSI and SCSI into every static program. This object
// stands in the archive in the place of those tables (scripts/setup, isal_replaced). Compiled
// against the headers of the very source, which says what is missing or twice.
#include <stdint.h>
#include <string.h>

#include "crc.h"
#include "igzip_checksums.h"
#include "igzip_lib.h"

// Of the library's own objects: by tables, by carry-less multiplication, the same with AVX's three
// operands.
uint32_t crc32_gzip_refl_by8(uint32_t crc, const unsigned char* bytes, uint64_t size);
uint32_t crc32_gzip_refl_by8_02(uint32_t crc, const unsigned char* bytes, uint64_t size);
uint32_t crc32_ieee_01(uint32_t crc, const unsigned char* bytes, uint64_t size);
uint32_t crc32_ieee_02(uint32_t crc, const unsigned char* bytes, uint64_t size);
uint32_t adler32_base(uint32_t adler, const unsigned char* bytes, uint32_t size);

static int multiplies(void) {
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

uint32_t crc32_gzip_refl(uint32_t crc, const unsigned char* bytes, uint64_t size) {
  if (!multiplies()) return crc32_gzip_refl_base(crc, (unsigned char*)bytes, size);
  if (!__builtin_cpu_supports("avx")) return crc32_gzip_refl_by8(crc, bytes, size);
  return crc32_gzip_refl_by8_02(crc, bytes, size);
}

uint32_t crc32_ieee(uint32_t crc, const unsigned char* bytes, uint64_t size) {
  if (!multiplies()) return crc32_ieee_base(crc, (unsigned char*)bytes, size);
  if (!__builtin_cpu_supports("avx")) return crc32_ieee_01(crc, bytes, size);
  return crc32_ieee_02(crc, bytes, size);
}

// The sum of zlib's streams, kept with its low half less by one. Nothing here reads such a stream.
uint32_t isal_adler32_bam1(uint32_t kept, const unsigned char* bytes, uint64_t size) {
  static const uint32_t kModulus = 65521;
  while (size != 0) {
    uint32_t count = size < (1U << 30) ? (uint32_t)size : 1U << 30;
    uint32_t adler =
        adler32_base((kept & 0xffff0000) | ((kept & 0xffff) + 1) % kModulus, bytes, count);
    kept = (adler & 0xffff0000) | ((adler & 0xffff) + kModulus - 1) % kModulus;
    bytes += count;
    size -= count;
  }
  return kept;
}

void isal_gzip_header_init(struct isal_gzip_header* header) { memset(header, 0, sizeof *header); }
