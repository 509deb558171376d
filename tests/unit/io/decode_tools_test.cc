// Images as others' programs make them. What is not installed is skipped.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "support/workshop.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

struct Made {
  std::string_view program;
  Format format;
  std::string_view command;  // in a directory with the image as disk.img; writes to out
};

void PrintTo(const Made& made, std::ostream* out) { *out << made.command; }

class ByTool : public ::testing::TestWithParam<Made> {};

TEST_P(ByTool, IsDecoded) {
  const Made& made = GetParam();
  if (std::system(concat("command -v ", made.program, " > /dev/null").c_str()) != 0) {
    GTEST_SKIP() << made.program << " is not installed";
  }
  ByteVector plain = as_disk(disk_sample(6'000'000, 11));
  Workshop shop;
  shop.write("disk.img", plain);
  ASSERT_EQ(shop.run(made.command), 0) << shop.log();
  ByteVector compressed = shop.read("out");
  ASSERT_EQ(sniff(ConstBytes(compressed).first(std::min(compressed.size(), kSniffBytes))),
            made.format);
  for (DecodeLimits limits : {kInline, kThreads, DecodeLimits{256_MiB, 2}}) {
    Result<ByteVector> result = decode(made.format, compressed, 1 << 20, 65536, limits);
    ASSERT_TRUE(result.ok()) << result.error().message();
    EXPECT_TRUE(result.value() == plain);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Decoders, ByTool,
    ::testing::Values(
        Made{"gzip", Format::Gzip, "gzip -c disk.img > out"},
        Made{"gzip", Format::Gzip, "gzip -9 disk.img && mv disk.img.gz out"},
        Made{"pigz", Format::Gzip, "pigz -p 4 -b 128 -c disk.img > out"},
        Made{"pigz", Format::Gzip, "pigz -9 -i -c disk.img > out"},
        Made{"pigz", Format::Zip, "pigz -K -c disk.img > out"},
        Made{"pigz", Format::Zip, "pigz -K < disk.img > out"},
        Made{"igzip", Format::Gzip, "igzip -c disk.img > out"},
        Made{"xz", Format::Xz, "xz -T1 -c disk.img > out"},
        Made{"xz", Format::Xz, "xz -T2 --block-size=700KiB -c disk.img > out"},
        Made{"xz", Format::Xz, "xz -T2 --block-list=1MiB,1KiB,0 -C sha256 -c disk.img > out"},
        Made{"xz", Format::Xz, "xz --x86 --lzma2=preset=1 -C none -c disk.img > out"},
        Made{"pixz", Format::Xz, "pixz -t -p 2 -f 0.1 -1 disk.img out"},
        Made{"bzip2", Format::Bzip2, "bzip2 -c disk.img > out"},
        Made{"bzip2", Format::Bzip2, "bzip2 -1 -c disk.img > out"},
        Made{"pbzip2", Format::Bzip2, "pbzip2 -p3 -b1 -c disk.img > out"},
        Made{"pbzip2", Format::Bzip2, "pbzip2 -p2 < disk.img > out"},
        Made{"lbzip2", Format::Bzip2, "lbzip2 -n 3 -c disk.img > out"},
        Made{"lbzip2", Format::Bzip2, "lbzip2 -1 -n 2 < disk.img > out"},
        Made{"lz4", Format::Lz4, "lz4 -c disk.img > out"},
        Made{"lz4", Format::Lz4, "lz4 -9 -BD -B4 -BX --content-size -c disk.img > out"},
        Made{"lz4", Format::Lz4, "lz4 --no-frame-crc < disk.img > out"},
        Made{"lz4", Format::Lz4, "lz4 -l -c disk.img > out"},
        Made{"zstd", Format::Zstd, "zstd -3 -c disk.img > out"},
        Made{"zstd", Format::Zstd, "zstd -19 --long=27 < disk.img > out"},
        Made{"pzstd", Format::Zstd, "pzstd -p 3 -c disk.img > out"},
        Made{"zip", Format::Zip, "zip out.zip disk.img && mv out.zip out"},
        Made{"zip", Format::Zip, "zip -0 out.zip disk.img && mv out.zip out"},
        Made{"zip", Format::Zip, "zip -q - disk.img > out"},
        Made{"zip", Format::Zip, "cat disk.img | zip -q -fz - - > out"},
        Made{"zip", Format::Zip, "mkdir d && mv disk.img d && zip -r out.zip d && mv out.zip out"},
        Made{"python3", Format::Zip, "python3 -m zipfile -c out.zip disk.img && mv out.zip out"}));

}  // namespace
}  // namespace curlingiron
