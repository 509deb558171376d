#include "payload/compress.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

constexpr uint32_t kMaxDictionary = 8_MiB;
constexpr int kMaxZstdWindowLog = 27;

struct CompressionName {
  Compression compression;
  std::string_view name;
  std::string_view option;
};
constexpr CompressionName kNames[] = {
    {Compression::Xz, "xz", "RD_XZ"},
    {Compression::Zstd, "zstd", "RD_ZSTD"},
    {Compression::Gzip, "gzip", "RD_GZIP"},
    {Compression::None, "none", ""},
};

const CompressionName& entry_of(Compression compression) {
  return *std::find_if(std::begin(kNames), std::end(kNames),
                       [&](const CompressionName& n) { return n.compression == compression; });
}

// The smallest dictionary xz can declare (2^n or 2^n + 2^(n-1)) that spans the data: the kernel
// allocates what is declared, and 160 MB machines are served too.
uint32_t dictionary_for(size_t size) {
  uint32_t dictionary = 64_KiB;
  while (dictionary < size && dictionary < kMaxDictionary) {
    uint32_t half_more = dictionary + dictionary / 2;
    if (half_more >= size) return half_more;
    dictionary *= 2;
  }
  return dictionary;
}

Result<ByteVector> to_xz(ConstBytes bytes, Effort effort, Contents contents) {
  lzma_options_lzma options;
  uint32_t preset = effort == Effort::Best ? 9 | LZMA_PRESET_EXTREME : 1;
  if (lzma_lzma_preset(&options, preset) != 0) return Error("liblzma lacks the preset");
  options.dict_size = dictionary_for(bytes.size());
  if (effort == Effort::Best) {
    options.nice_len = 273;
    options.depth = 1000;
    // Measured on OpenSSL's code and on modules, against 13 other choices of lc, lp and pb.
    options.lc = contents == Contents::X86Program ? 4 : 3;
    options.lp = 0;
    options.pb = contents == Contents::X86Program ? 2 : 1;
  }
  lzma_filter filters[3];
  size_t count = 0;
  if (contents == Contents::X86Program) filters[count++] = {LZMA_FILTER_X86, nullptr};
  filters[count++] = {LZMA_FILTER_LZMA2, &options};
  filters[count] = {LZMA_VLI_UNKNOWN, nullptr};
  ByteVector out(lzma_stream_buffer_bound(bytes.size()));
  size_t size = 0;
  lzma_ret status = lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, nullptr, bytes.data(),
                                              bytes.size(), out.data(), &size, out.size());
  if (status != LZMA_OK) return Error(concat("xz compression failed, liblzma's code ", status));
  out.resize(size);
  return out;
}

Result<ByteVector> to_zstd(ConstBytes bytes, Effort effort) {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  if (context == nullptr) return Error("no memory for the zstd compressor");
  int level = effort == Effort::Best ? 19 : 3;
  int window = 10;
  while (window < kMaxZstdWindowLog && (size_t{1} << window) < bytes.size()) ++window;
  size_t failed = ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  if (ZSTD_isError(failed) == 0) {
    failed = ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window);
  }
  if (ZSTD_isError(failed) == 0) {
    failed = ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  }
  ByteVector out(ZSTD_compressBound(bytes.size()));
  size_t size = failed;
  if (ZSTD_isError(failed) == 0) {
    size = ZSTD_compress2(context.get(), out.data(), out.size(), bytes.data(), bytes.size());
  }
  if (ZSTD_isError(size) != 0) {
    return Error(concat("zstd compression failed: ", ZSTD_getErrorName(size)));
  }
  out.resize(size);
  return out;
}

Result<ByteVector> to_gzip(ConstBytes bytes, Effort effort) {
  constexpr int kGzipWindow = 16 + MAX_WBITS;
  z_stream stream{};
  int level = effort == Effort::Best ? 9 : 1;
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Error("no memory for the gzip compressor");
  }
  std::unique_ptr<z_stream, decltype(&deflateEnd)> owner(&stream, deflateEnd);
  ByteVector out(deflateBound(&stream, static_cast<uLong>(bytes.size())));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  int status = deflate(&stream, Z_FINISH);
  if (status != Z_STREAM_END) return Error(concat("gzip compression failed, zlib's code ", status));
  out.resize(out.size() - stream.avail_out);
  return out;
}

Result<ByteVector> compress_plain(ConstBytes bytes, Compression compression, Effort effort,
                                  Contents contents) {
  switch (compression) {
    case Compression::Xz: return to_xz(bytes, effort, contents);
    case Compression::Zstd: return to_zstd(bytes, effort);
    case Compression::Gzip: return to_gzip(bytes, effort);
    case Compression::None: return ByteVector(bytes.begin(), bytes.end());
  }
  return Error("unknown compression");
}

}  // namespace

Result<Compression> parse_compression(std::string_view name) {
  for (const CompressionName& entry : kNames) {
    if (entry.name == name) return entry.compression;
  }
  return Error(concat("\"", printable(name, 40), "\": choose xz, zstd, gzip or none"));
}

std::string_view compression_name(Compression compression) { return entry_of(compression).name; }

std::string_view kernel_option(Compression compression) { return entry_of(compression).option; }

Result<ByteVector> compress(ConstBytes bytes, Compression compression, Effort effort,
                            Contents contents) {
  constexpr uint64_t kLimit = 1_GiB;
  if (bytes.size() > kLimit) return Error("an initramfs of more than 1 GiB");
  ByteVector out = TRY(compress_plain(bytes, compression, effort, contents));
  out.resize(round_up(out.size(), 4), 0);
  return out;
}

Result<RawLzma> compress_lzma(ConstBytes bytes) {
  lzma_options_lzma options;
  if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME) != 0) {
    return Error("liblzma lacks the preset");
  }
  options.nice_len = 273;
  options.depth = 1000;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  RawLzma packed;
  packed.properties = static_cast<uint8_t>(options.lc + 9 * (options.lp + 5 * options.pb));
  // As much as LZMA may add to what cannot be packed.
  packed.bytes.resize(bytes.size() + bytes.size() / 16 + 4_KiB);
  size_t size = 0;
  lzma_ret status = lzma_raw_buffer_encode(filters, nullptr, bytes.data(), bytes.size(),
                                           packed.bytes.data(), &size, packed.bytes.size());
  if (status != LZMA_OK) return Error(concat("LZMA compression failed, liblzma's code ", status));
  packed.bytes.resize(size);
  return packed;
}

}  // namespace curlingiron
