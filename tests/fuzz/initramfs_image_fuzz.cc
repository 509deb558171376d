// An initramfs of whoever made it: no bytes may crash the reader, or pass its limits; what it reads
// to the end is accounted for to the byte, equals itself, and answers every question.
#include <cstdlib>

#include "io/random.h"
#include "payload/initramfs_diff.h"
#include "payload/initramfs_image.h"
#include "payload/initramfs_reasons.h"
#include "payload/initramfs_shares.h"

namespace {

using namespace curlingiron;

constexpr ImageLimits kLimits = {1_MiB, 200, 16_KiB, 20};

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryRandomSource file(ConstBytes(data, size));
  InitramfsReader reader(file, kLimits);
  std::vector<std::string> paths;
  uint64_t entries = 0;
  uint64_t unpacked = 0;
  for (;;) {
    Result<std::optional<ImageEntry>> entry = reader.next();
    if (!entry.ok()) {
      require(!reader.next().ok());
      return 0;
    }
    if (!entry.value()) break;
    require(++entries <= kLimits.entries);
    if (paths.size() < 3) paths.push_back(entry.value()->path);
    // Every other one is passed over.
    if (entries % 2 == 0) continue;
    Result<ByteVector> content = reader.read_data(kLimits.unpacked);
    if (!content.ok()) return 0;
    if (entry.value()->target.empty()) require(content.value().size() == entry.value()->size);
  }
  uint64_t packed = reader.trailing_padding() + reader.boot_config_size();
  for (const ImageArchive& archive : reader.archives()) {
    packed += archive.padding_before + archive.packed_size;
    unpacked += archive.unpacked_size;
  }
  require(packed == size && unpacked <= kLimits.unpacked + 256_KiB);

  Result<ImageShares> shares = measure_shares(file);
  require(shares.ok());
  uint64_t total = shares.value().names + shares.value().padding + shares.value().boot_config;
  for (const PackedShare& share : shares.value().entries) total += share.packed;
  require(total == size);

  Result<ImageDiff> diff = diff_images(file, file, "a", "b");
  require(diff.ok() && diff.value().equal());

  Result<InitramfsReasons> reasons = InitramfsReasons::read(file);
  if (!reasons.ok()) return 0;
  for (const std::string& path : paths) {
    Result<std::vector<std::string>> subjects = reasons.value().resolve(path);
    if (!subjects.ok()) continue;
    for (const std::string& subject : subjects.value()) {
      Result<std::vector<ReasonChain>> chains = reasons.value().chains(subject);
      if (!chains.ok()) continue;
      require(!chains.value().empty());
      for (const ReasonChain& chain : chains.value()) sentence(chain);
    }
  }
  return 0;
}
