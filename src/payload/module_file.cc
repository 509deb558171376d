#include "payload/module_file.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kStep = size_t{256} << 10;
constexpr uint64_t kXzMemoryLimit = uint64_t{512} << 20;

bool starts_with(ConstBytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && as_text(bytes.first(magic.size())) == magic;
}

Error too_large(size_t limit) {
  return Error(concat("unpacks to more than the ", limit, " bytes that make sense here"));
}

// Makes room behind `filled` bytes, at least one byte more than the limit allows to be used.
void grow(ByteVector& out, size_t filled, size_t limit) {
  out.resize(std::min(std::max(out.size() * 2, filled + kStep), limit + 1));
}

Result<ByteVector> unpack_xz(ConstBytes file, size_t limit) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kXzMemoryLimit, LZMA_CONCATENATED) != LZMA_OK) {
    return Error("no memory for the xz decoder");
  }
  std::unique_ptr<lzma_stream, decltype(&lzma_end)> owner(&stream, lzma_end);
  ByteVector out;
  size_t filled = 0;
  stream.next_in = file.data();
  stream.avail_in = file.size();
  for (;;) {
    if (filled > limit) return too_large(limit);
    if (filled == out.size()) grow(out, filled, limit);
    stream.next_out = out.data() + filled;
    stream.avail_out = out.size() - filled;
    lzma_ret status = lzma_code(&stream, LZMA_FINISH);
    filled = out.size() - stream.avail_out;
    if (status == LZMA_STREAM_END) break;
    if (status == LZMA_OK || (status == LZMA_BUF_ERROR && stream.avail_out == 0)) continue;
    return Error(status == LZMA_BUF_ERROR ? "the xz data is truncated" : "the xz data is damaged");
  }
  if (filled > limit) return too_large(limit);
  out.resize(filled);
  return out;
}

Result<ByteVector> unpack_zstd(ConstBytes file, size_t limit) {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (context == nullptr) return Error("no memory for the zstd decoder");
  ByteVector out;
  ZSTD_inBuffer in{file.data(), file.size(), 0};
  ZSTD_outBuffer to{nullptr, 0, 0};
  size_t pending = 1;
  while (in.pos < in.size || pending != 0) {
    if (to.pos > limit) return too_large(limit);
    if (to.pos == out.size()) {
      grow(out, to.pos, limit);
      to.dst = out.data();
      to.size = out.size();
    }
    size_t before_in = in.pos;
    size_t before_out = to.pos;
    pending = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(pending) != 0) return Error("the zstd data is damaged");
    if (in.pos == before_in && to.pos == before_out && to.pos < to.size) {
      return Error("the zstd data is truncated");
    }
  }
  if (to.pos > limit) return too_large(limit);
  out.resize(to.pos);
  return out;
}

Result<ByteVector> unpack_gzip(ConstBytes file, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return Error("no memory for the gzip decoder");
  std::unique_ptr<z_stream, decltype(&inflateEnd)> owner(&stream, inflateEnd);
  ByteVector out;
  size_t filled = 0;
  // zlib takes the input as mutable, and does not change it.
  stream.next_in = const_cast<Bytef*>(file.data());
  stream.avail_in = static_cast<uInt>(file.size());
  for (;;) {
    if (filled > limit) return too_large(limit);
    if (filled == out.size()) grow(out, filled, limit);
    stream.next_out = out.data() + filled;
    stream.avail_out = static_cast<uInt>(out.size() - filled);
    int status = inflate(&stream, Z_NO_FLUSH);
    filled = out.size() - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      if (inflateReset(&stream) != Z_OK) return Error("the gzip data is damaged");
      continue;  // the next member
    }
    if (status == Z_OK) continue;
    if (status == Z_BUF_ERROR && stream.avail_out == 0) continue;
    return Error(status == Z_BUF_ERROR ? "the gzip data is truncated" : "the gzip data is damaged");
  }
  if (filled > limit) return too_large(limit);
  out.resize(filled);
  return out;
}

}  // namespace

Result<ByteVector> decompress_whole(ByteVector file, size_t limit) {
  if (starts_with(file,
                  "\xfd"
                  "7zXZ"))
    return unpack_xz(file, limit);
  if (starts_with(file, "\x28\xb5\x2f\xfd")) return unpack_zstd(file, limit);
  if (starts_with(file, "\x1f\x8b")) return unpack_gzip(file, limit);
  return file;
}

Result<ByteVector> read_plain_file(const UniqueFd& root, const std::string& path) {
  ByteVector file = TRY(read_file(root, path, kMaxModuleSize));
  return decompress_whole(std::move(file), kMaxModuleSize).with_context(path);
}

}  // namespace curlingiron
