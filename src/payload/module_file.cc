#include "payload/module_file.h"

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "base/units.h"
#include "io/adapters.h"
#include "io/decode.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kStep = 256_KiB;
// Modules and firmware are small: a thread for each would cost more than it brings.
constexpr DecodeLimits kLimits = {512_MiB + kBesideDecoder, 1};

}  // namespace

Result<ByteVector> decompress_whole(ByteVector file, size_t limit) {
  // What depmod(8) and the firmware loader know; any other bytes are a file's own.
  Format format = sniff(ConstBytes(file).first(std::min(file.size(), kSniffBytes)));
  if (format != Format::Gzip && format != Format::Xz && format != Format::Zstd) return file;
  MemorySource packed(file);
  std::unique_ptr<Source> source = TRY(open_decoder(format, packed, kLimits));
  ByteVector plain;
  size_t filled = 0;
  for (;;) {
    if (filled > limit) {
      return Error(concat("unpacks to more than the ", limit, " bytes that make sense here"));
    }
    // At least one byte more than may be used.
    if (filled == plain.size()) {
      plain.resize(std::min(std::max(plain.size() * 2, filled + kStep), limit + 1));
    }
    size_t n = TRY(source->read(MutableBytes(plain).subspan(filled)));
    if (n == 0) break;
    filled += n;
  }
  plain.resize(filled);
  return plain;
}

Result<ByteVector> read_plain_file(const UniqueFd& root, const std::string& path) {
  ByteVector file = TRY(read_file(root, path, kMaxModuleSize));
  return decompress_whole(std::move(file), kMaxModuleSize).with_context(path);
}

}  // namespace curlingiron
