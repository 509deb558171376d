#include "payload/initramfs_shares.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "payload/compress.h"

namespace curlingiron {
namespace {

// Data is compressed in pieces of this size, so that no file decides how much memory is taken.
constexpr size_t kPiece = 32_MiB;

// What compresses about as `format` does.
Compression family_of(Format format) {
  switch (format) {
    case Format::Raw: return Compression::None;
    case Format::Zstd: return Compression::Zstd;
    case Format::Xz:
    case Format::Lzma: return Compression::Xz;
    default: return Compression::Gzip;
  }
}

class Scales {
 public:
  explicit Scales(Compression compression) : compression_(compression) {}

  // Without what the format adds to any stream.
  Result<uint64_t> weigh(ConstBytes bytes) {
    if (compression_ == Compression::None || bytes.empty()) return uint64_t{bytes.size()};
    constexpr uint8_t kOneByte[] = {0};
    if (frame_ == 0) frame_ = TRY(packed(kOneByte)) - 1;
    uint64_t size = TRY(packed(bytes));
    return std::max<uint64_t>(size > frame_ ? size - frame_ : 0, 1);
  }

 private:
  Result<uint64_t> packed(ConstBytes bytes) {
    ByteVector out = TRY(compress(bytes, compression_, Effort::Fast, Contents::Modules));
    return uint64_t{out.size()};
  }

  Compression compression_;
  uint64_t frame_ = 0;
};

// Gives `total` out in the proportion of the weights; the shares add up to it.
std::vector<uint64_t> divide(uint64_t total, const std::vector<uint64_t>& weights) {
  uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  std::vector<uint64_t> shares(weights.size());
  if (sum == 0) return shares;
  // What is left over after rounding down goes to the next ones, as in drawing a line: the share of
  // a run of entries is exact to a byte.
  unsigned __int128 before = 0;
  uint64_t given = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    before += weights[i];
    uint64_t reached = static_cast<uint64_t>(before * total / sum);
    shares[i] = reached - given;
    given = reached;
  }
  return shares;
}

// The entries of one archive, with the weight of each in `packed`.
class ArchiveScales {
 public:
  ArchiveScales(ImageShares& shares, size_t archive, Format format)
      : shares_(shares), archive_(archive), scales_(family_of(format)) {}

  size_t archive() const { return archive_; }

  Result<void> add(InitramfsReader& reader, const ImageEntry& entry) {
    // The rest of a header is much the same in all: what of it stays is little beside the path.
    names_.insert(names_.end(), entry.path.begin(), entry.path.end());
    names_.push_back('\n');
    ByteVector data(entry.target.begin(), entry.target.end());
    uint64_t weight = TRY(scales_.weigh(data));
    for (uint64_t left = entry.target.empty() ? entry.size : 0; left != 0; left -= data.size()) {
      data.clear();
      uint64_t piece = std::min<uint64_t>(left, kPiece);
      while (data.size() < piece) {
        size_t old = data.size();
        data.resize(old + static_cast<size_t>(std::min<uint64_t>(piece - old, 256_KiB)));
        data.resize(old + TRY(reader.read(MutableBytes(data).subspan(old))));
      }
      weight += TRY(scales_.weigh(data));
    }
    if (entry.size != 0) {
      shares_.entries.push_back(
          {std::string(plain_path(entry.path)), archive_, weight, entry.size});
    }
    return {};
  }

  Result<void> finish(const ImageArchive& archive, size_t first) {
    std::vector<uint64_t> weights;
    uint64_t data = 0;
    for (size_t i = first; i < shares_.entries.size(); ++i) {
      weights.push_back(shares_.entries[i].packed);
      data += shares_.entries[i].unpacked;
    }
    // Of a plain archive: all that is not data.
    uint64_t headers = archive.packed_size - data;
    if (archive.format != Format::Raw) {
      headers = TRY(scales_.weigh(ByteVector(names_.begin(), names_.end())));
    }
    weights.push_back(std::max<uint64_t>(headers, 1));
    std::vector<uint64_t> parts = divide(archive.packed_size, weights);
    for (size_t i = first; i < shares_.entries.size(); ++i) {
      shares_.entries[i].packed = parts[i - first];
    }
    shares_.names += parts.back();
    return {};
  }

 private:
  ImageShares& shares_;
  size_t archive_;
  Scales scales_;
  std::string names_;
};

}  // namespace

Result<ImageShares> measure_shares(RandomSource& file) {
  ImageShares shares;
  InitramfsReader reader(file);
  std::optional<ArchiveScales> scales;
  size_t first = 0;  // entry of the open archive
  auto finish = [&]() -> Result<void> {
    if (scales) TRY(scales->finish(reader.archives()[scales->archive()], first));
    scales.reset();
    first = shares.entries.size();
    return {};
  };
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    if (!scales || scales->archive() != entry->archive) {
      TRY(finish());
      scales.emplace(shares, entry->archive, reader.archives()[entry->archive].format);
    }
    TRY(scales->add(reader, *entry));
  }
  TRY(finish());
  shares.archives = reader.archives();
  shares.padding = reader.trailing_padding();
  for (const ImageArchive& archive : shares.archives) {
    shares.padding += archive.padding_before;
    if (archive.entries == 0) shares.names += archive.packed_size;
  }
  shares.boot_config = reader.boot_config_size();
  shares.total = file.size();
  return shares;
}

}  // namespace curlingiron
