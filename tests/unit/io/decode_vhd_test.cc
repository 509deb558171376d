#include <gmock/gmock.h>

#include "io/vhd.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

ByteVector footer(uint64_t size, uint32_t type = 2) {
  ByteWriter out;
  out.append("conectix");
  out.be32(2);
  out.be32(0x10000);
  out.be64(UINT64_MAX);
  out.be32(0x12345678);
  out.append("test");
  out.be32(1);
  out.append("Wi2k");
  out.be64(size);
  out.be64(size);
  out.be32(0);
  out.be32(type);
  uint32_t sum = 0;
  for (uint8_t byte : out.bytes()) sum += byte;
  out.be32(~sum);
  out.zeros(512 - out.size());
  return std::move(out).bytes();
}

// Gives zeros as holes, in runs that begin and end anywhere.
class HoleSource final : public Source {
 public:
  HoleSource(ConstBytes bytes, size_t largest) : inner_(bytes, largest), bytes_(bytes) {}
  Result<size_t> read(MutableBytes into) override { return inner_.read(into); }
  uint64_t zeros_ahead() override {
    // The end of the run is remembered while it lasts.
    if (inner_.position >= run_end_) {
      run_end_ = inner_.position;
      while (run_end_ < bytes_.size() && bytes_[run_end_] == 0) ++run_end_;
    }
    return run_end_ - inner_.position;
  }
  void skip_zeros(uint64_t count) override {
    ASSERT_LE(count, zeros_ahead());
    inner_.position += static_cast<size_t>(count);
    skipped += count;
  }
  uint64_t skipped = 0;

 private:
  DripSource inner_;
  ConstBytes bytes_;
  size_t run_end_ = 0;
};

// As the writer reads: holes are passed over, whole or in part.
Result<ByteVector> read_with_holes(Source& source, size_t chunk, uint64_t most_skipped) {
  ByteVector all;
  ByteVector piece(chunk);
  for (;;) {
    uint64_t zeros = std::min(source.zeros_ahead(), most_skipped);
    source.skip_zeros(zeros);
    all.insert(all.end(), static_cast<size_t>(zeros), 0);
    size_t n = TRY(source.read(piece));
    if (n == 0) return all;
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n));
  }
}

TEST(VhdFooterSource, DropsTheFooterOfAFixedDisk) {
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{511}, size_t{512}, size_t{513}, size_t{100'000}}) {
    ByteVector plain = disk_sample(size, size);
    ByteVector with_footer = joined({plain, footer(size)});
    for (const ByteVector& file : {plain, with_footer}) {
      for (size_t drip : {size_t{1}, size_t{100}, size_t{512}, size_t{513}, size_t{1 << 20}}) {
        for (size_t chunk : {size_t{1}, size_t{511}, size_t{512}, size_t{513}, size_t{65536}}) {
          DripSource inner(file, drip);
          VhdFooterSource source(inner);
          ASSERT_EQ(read_all(source, chunk).value(), plain) << size << " " << drip << " " << chunk;
          ByteVector more(10);
          EXPECT_EQ(source.read(more).value(), 0u);
        }
      }
    }
  }
}

TEST(VhdFooterSource, HolesStayHoles) {
  ByteVector plain = disk_sample(2'500'000, 3);
  for (const ByteVector& body : {plain, ByteVector(200'000, 0), joined({plain, ByteVector(700, 0)}),
                                 joined({ByteVector(511, 0), {1}, ByteVector(513, 0)})}) {
    for (const ByteVector& file : {body, joined({body, footer(body.size())})}) {
      for (size_t chunk : {size_t{1}, size_t{513}, size_t{65536}}) {
        for (uint64_t most : {uint64_t{1}, uint64_t{600}, UINT64_MAX}) {
          if (body.size() > 2'000'000 && (chunk == 1 || most == 1)) continue;
          HoleSource inner(file, 10'000);
          VhdFooterSource source(inner);
          ASSERT_TRUE(read_with_holes(source, chunk, most).value() == body);
          bool skips = most == UINT64_MAX && body.size() > 1'000'000;
          EXPECT_TRUE(!skips || inner.skipped > 500'000u);
        }
      }
    }
  }
}

TEST(VhdFooterSource, AFooterThatDoesNotFitIsAnError) {
  ByteVector plain = sample(10'240);
  auto outcome = [&](const ByteVector& end) {
    ByteVector file = joined({plain, end});
    DripSource inner(file, 1000);
    VhdFooterSource source(inner);
    Result<ByteVector> result = read_all(source);
    ByteVector more(10);
    EXPECT_EQ(source.read(more).ok(), result.ok());
    if (!result.ok()) return result.error().message();
    return std::string(result.value() == plain ? "dropped" : result.value() == file ? "kept" : "?");
  };
  EXPECT_EQ(outcome(footer(10'240)), "dropped");
  EXPECT_THAT(outcome(footer(10'241)), HasSubstr("10241 bytes, but 10240 bytes"));
  EXPECT_THAT(outcome(footer(10'240, 3)), HasSubstr("not of fixed size"));
  ByteVector wrong = footer(10'240);
  wrong[100] ^= 1;
  EXPECT_EQ(outcome(wrong), "kept");
  wrong = footer(10'240);
  wrong[0] = 'C';
  EXPECT_EQ(outcome(wrong), "kept");
  wrong = footer(0);  // What is left out at its end are zeros: the checksum is right.
  wrong.resize(300);
  plain.clear();
  EXPECT_EQ(outcome(wrong), "kept");
  ByteVector koly(512);
  std::memcpy(koly.data(), "koly", 4);
  EXPECT_THAT(outcome(koly), HasSubstr("Apple disk image"));
}

TEST(VhdFooterSource, AnErrorOfTheSourceIsHandedOn) {
  ByteVector file = joined({sample(2000), footer(2000)});
  for (size_t end = 0; end < file.size(); end += 7) {
    for (size_t chunk : {size_t{100}, size_t{4096}}) {
      DripSource inner(file, 300, end);
      VhdFooterSource source(inner);
      Result<ByteVector> result = read_all(source, chunk);
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code(), ECONNRESET);
    }
  }
}

}  // namespace
}  // namespace curlingiron
