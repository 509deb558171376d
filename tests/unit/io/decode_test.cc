#include "io/decode.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>

#include "base/text.h"
#include "io/adapters.h"
#include "unit/io/sources.h"

namespace curlingiron {
namespace {

// Compresses to about a half: blocks of all kinds.
ByteVector sample(size_t size, uint64_t seed = 1) {
  ByteVector bytes = random_bytes(size, seed);
  for (size_t i = 0; i < size; ++i) {
    if (i / 64 % 3 != 0) bytes[i] = static_cast<uint8_t>("curlingiron "[i % 12]);
  }
  return bytes;
}

ByteVector gzip(ConstBytes bytes, bool with_name = false) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  gz_header header{};
  char name[] = "disk.img";
  header.name = reinterpret_cast<Bytef*>(name);
  header.hcrc = 1;
  if (with_name) {
    EXPECT_EQ(deflateSetHeader(&stream, &header), Z_OK);
  }
  ByteVector result(deflateBound(&stream, bytes.size()) + 100);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

struct ZstdOptions {
  bool checksum = true;
  bool content_size = true;
  int window_log = 0;
};

ByteVector zstd(ConstBytes bytes, ZstdOptions options = {}) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, options.checksum ? 1 : 0);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, options.content_size ? 1 : 0);
  if (options.window_log != 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, options.window_log);
  }
  ByteVector result(ZSTD_compressBound(bytes.size()));
  size_t size = 0;
  if (options.content_size) {
    size = ZSTD_compress2(context, result.data(), result.size(), bytes.data(), bytes.size());
  } else {
    // A stream whose length is not known when it begins has a window in its header.
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out{result.data(), result.size(), 0};
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
    while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0) {
    }
    size = out.pos;
  }
  EXPECT_FALSE(ZSTD_isError(size));
  ZSTD_freeCCtx(context);
  result.resize(size);
  return result;
}

ByteVector skippable(size_t size, uint8_t low = 0x50) {
  ByteWriter out;
  out.le32(0x184D2A00u | low);
  out.le32(static_cast<uint32_t>(size));
  out.zeros(size);
  return std::move(out).bytes();
}

ByteVector joined(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const ByteVector& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Result<ByteVector> decode(Format format, ConstBytes compressed, size_t drip = 1 << 20,
                          size_t chunk = 65536) {
  DripSource inner(compressed, drip);
  std::unique_ptr<Source> source = TRY(open_decoder(format, inner));
  Result<ByteVector> all = read_all(*source, chunk);
  // The outcome is final, whichever it was.
  ByteVector more(16);
  Result<size_t> again = source->read(more);
  EXPECT_EQ(again.ok(), all.ok());
  EXPECT_TRUE(!again.ok() || again.value() == 0);
  return all;
}

TEST(Sniff, KnowsFormatsByTheirMagic) {
  ByteVector plain = sample(2000);
  EXPECT_EQ(sniff(plain), Format::Raw);
  EXPECT_EQ(sniff({}), Format::Raw);
  EXPECT_EQ(sniff(gzip(plain)), Format::Gzip);
  EXPECT_EQ(sniff(zstd(plain)), Format::Zstd);
  EXPECT_EQ(sniff(joined({skippable(4), zstd(plain)})), Format::Zstd);
  EXPECT_EQ(sniff(joined({skippable(4, 0x5f), skippable(0), zstd(plain)})), Format::Zstd);
  EXPECT_EQ(sniff(skippable(100'000)), Format::Zstd);
  auto text = [](std::string_view bytes) { return sniff(as_bytes(bytes)); };
  EXPECT_EQ(text(std::string_view("\xfd\x37zXZ\0\0\4", 8)), Format::Xz);
  EXPECT_EQ(text("BZh91AY&SY0123456789"), Format::Bzip2);
  EXPECT_EQ(text("BZh9 is how this text begins"), Format::Raw);
  EXPECT_EQ(text("\x04\x22\x4d\x18rest"), Format::Lz4);
  EXPECT_EQ(text("\x02\x21\x4c\x18rest"), Format::Lz4);
  EXPECT_EQ(sniff(joined({skippable(4), {0x04, 0x22, 0x4d, 0x18}})), Format::Lz4);
  EXPECT_EQ(text("QFI\xfb"), Format::Qcow2);
  EXPECT_EQ(text("PK\x03\x04"), Format::Zip);
  EXPECT_EQ(text("<!DOCTYPE html><html>"), Format::Html);
  EXPECT_EQ(text(" \r\n\t<HTML lang=en>"), Format::Html);
  EXPECT_EQ(text("\xef\xbb\xbf<!doctype HTML>"), Format::Html);
  EXPECT_EQ(text("<xml>"), Format::Raw);
  EXPECT_EQ(text("\x1f\x8b"), Format::Raw);  // no method
}

TEST(Sniff, APrefixOfAMagicIsRaw) {
  ByteVector magic = zstd(sample(100));
  for (size_t n = 0; n < 4; ++n) EXPECT_EQ(sniff(ConstBytes(magic).first(n)), Format::Raw);
}

TEST(OpenDecoder, SaysWhatToDoAboutFormatsItCannotDecode) {
  MemorySource inner({});
  for (Format format : {Format::Xz, Format::Bzip2, Format::Lz4}) {
    Result<std::unique_ptr<Source>> source = open_decoder(format, inner);
    ASSERT_FALSE(source.ok());
    EXPECT_EQ(source.error().message(),
              concat("the image is ", format_name(format),
                     "-compressed, which this version cannot decode; serve it as raw, gzip or "
                     "zstd"));
  }
  EXPECT_NE(open_decoder(Format::Qcow2, inner).error().message().find("qemu-img"),
            std::string::npos);
  EXPECT_NE(open_decoder(Format::Zip, inner).error().message().find("unpack"), std::string::npos);
  EXPECT_NE(open_decoder(Format::Html, inner).error().message().find("web page"),
            std::string::npos);
}

TEST(Raw, PassesThrough) {
  ByteVector plain = sample(100'000);
  EXPECT_EQ(decode(Format::Raw, plain, 999).value(), plain);
}

TEST(Gzip, DecodesInPiecesOfAnySize) {
  ByteVector plain = sample(300'000);
  ByteVector compressed = gzip(plain);
  for (size_t drip : {size_t{1}, size_t{3}, size_t{1000}, compressed.size()}) {
    for (size_t chunk : {size_t{7}, size_t{4096}, plain.size() * 2}) {
      EXPECT_TRUE(decode(Format::Gzip, compressed, drip, chunk).value() == plain);
    }
  }
}

TEST(Gzip, MembersNamesAndEmptyMembers) {
  ByteVector a = sample(50'000, 1);
  ByteVector b = sample(70'000, 2);
  ByteVector compressed = joined({gzip(a, true), gzip({}), gzip(b), gzip({}, true)});
  for (size_t drip : {size_t{1}, compressed.size()}) {
    EXPECT_TRUE(decode(Format::Gzip, compressed, drip).value() == joined({a, b}));
  }
  EXPECT_TRUE(decode(Format::Gzip, gzip({})).value().empty());
}

TEST(Gzip, ZerosBehindTheEndArePadding) {
  ByteVector plain = sample(1000);
  for (size_t zeros : std::initializer_list<size_t>{1, 2, 3, 512, 1'000'000}) {
    ByteVector compressed = joined({gzip(plain), ByteVector(zeros, 0)});
    EXPECT_EQ(decode(Format::Gzip, compressed, 100).value(), plain);
    compressed.push_back(1);
    EXPECT_FALSE(decode(Format::Gzip, compressed, 100).ok());
  }
}

TEST(Gzip, GarbageBehindTheEndIsAnError) {
  ByteVector compressed = gzip(sample(1000));
  for (ByteVector garbage : {ByteVector{1}, ByteVector{0x1f}, ByteVector{0x1f, 0x8b},
                             ByteVector{0x1f, 0x8c}, ByteVector(1000, 0xff), zstd(sample(10))}) {
    EXPECT_FALSE(decode(Format::Gzip, joined({compressed, garbage})).ok());
  }
}

TEST(Zstd, DecodesInPiecesOfAnySize) {
  ByteVector plain = sample(600'000);
  for (ZstdOptions options :
       {ZstdOptions{}, ZstdOptions{false, true, 0}, ZstdOptions{true, false, 0}}) {
    ByteVector compressed = zstd(plain, options);
    for (size_t drip : {size_t{1}, size_t{3}, size_t{1000}, compressed.size()}) {
      for (size_t chunk : {size_t{7}, size_t{4096}, plain.size() * 2}) {
        EXPECT_TRUE(decode(Format::Zstd, compressed, drip, chunk).value() == plain);
      }
    }
  }
}

TEST(Zstd, FramesAndSkippableFrames) {
  ByteVector a = sample(50'000, 1);
  ByteVector b = sample(70'000, 2);
  ByteVector compressed = joined({skippable(12), zstd(a), skippable(300'000, 0x5f), zstd({}),
                                  zstd(b, {false, false, 0}), skippable(0)});
  for (size_t drip : {size_t{1}, compressed.size()}) {
    EXPECT_TRUE(decode(Format::Zstd, compressed, drip).value() == joined({a, b}));
  }
}

TEST(Zstd, WindowsUpTo128MiB) {
  ByteVector plain(200'000, 'x');
  EXPECT_EQ(decode(Format::Zstd, zstd(plain, {true, false, 27})).value(), plain);
  Result<ByteVector> result = decode(Format::Zstd, zstd(plain, {true, false, 28}));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("128 MiB"), std::string::npos);
}

TEST(Zstd, AFrameShorterThanItSaysIsAnError) {
  // An empty last block, which libzstd's streaming decoder does not hold against the content size.
  ByteVector frame = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00};
  EXPECT_EQ(decode(Format::Zstd, frame, 3).value().size(), 0u);
  frame[5] = 1;
  for (size_t drip : std::initializer_list<size_t>{1, 3, 100}) {
    Result<ByteVector> result = decode(Format::Zstd, frame, drip);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message().find("damaged"), std::string::npos);
  }
}

TEST(Zstd, GarbageBehindTheEndIsAnError) {
  ByteVector compressed = zstd(sample(1000));
  for (ByteVector garbage : {ByteVector{0}, ByteVector{0x28}, ByteVector{0x28, 0xb5, 0x2f},
                             ByteVector{0x50, 0x2a}, ByteVector(1000, 0), gzip(sample(10))}) {
    EXPECT_FALSE(decode(Format::Zstd, joined({compressed, garbage})).ok());
  }
}

struct Subject {
  Format format;
  ByteVector plain;
  ByteVector compressed;
  // Ends at which the stream is complete: behind a member or frame.
  std::vector<size_t> edges;
};

std::vector<Subject> subjects() {
  ByteVector a = sample(3000, 3);
  ByteVector b = sample(500, 4);
  ByteVector gzip_a = gzip(a, true);
  ByteVector zstd_a = joined({skippable(5), zstd(a)});
  return {
      {Format::Gzip, joined({a, b}), joined({gzip_a, gzip(b)}), {gzip_a.size()}},
      {Format::Zstd,
       joined({a, b}),
       joined({zstd_a, zstd(b, {true, false, 0})}),
       {13, zstd_a.size()}},
  };
}

TEST(Decoders, TruncationAtAnyByteIsAnError) {
  for (const Subject& subject : subjects()) {
    ASSERT_EQ(decode(subject.format, subject.compressed).value(), subject.plain);
    for (size_t end = 0; end < subject.compressed.size(); ++end) {
      ConstBytes cut = ConstBytes(subject.compressed).first(end);
      bool edge = std::count(subject.edges.begin(), subject.edges.end(), end) != 0;
      Result<ByteVector> result = decode(subject.format, cut, 100);
      // Behind a whole member nothing tells that another was to come: only a digest or the length
      // that the server declared does.
      EXPECT_EQ(result.ok(), edge) << format_name(subject.format) << " " << end;
      if (result.ok() || end == 0) continue;
      EXPECT_NE(result.error().message().find("ends too early"), std::string::npos)
          << result.error().message();
    }
  }
}

TEST(Decoders, AnErrorOfTheSourceIsHandedOn) {
  for (const Subject& subject : subjects()) {
    for (size_t end = 0; end < subject.compressed.size(); end += 11) {
      DripSource inner(subject.compressed, 50, end);
      std::unique_ptr<Source> source = open_decoder(subject.format, inner).value();
      Result<ByteVector> result = read_all(*source);
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code(), ECONNRESET);
    }
  }
}

TEST(Decoders, ASingleWrongBitNeverPassesForTheImage) {
  std::mt19937_64 random(5);
  for (const Subject& subject : subjects()) {
    size_t errors = 0;
    for (int i = 0; i < 10'000; ++i) {
      ByteVector damaged = subject.compressed;
      size_t bit = random() % (damaged.size() * 8);
      damaged[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
      Result<ByteVector> result = decode(subject.format, damaged);
      if (!result.ok()) {
        ++errors;
        continue;
      }
      // Only what says nothing about the content may change: a time, a name, a skipped byte.
      ASSERT_TRUE(result.value() == subject.plain) << format_name(subject.format) << " bit " << bit;
    }
    EXPECT_GT(errors, 9'000u);
  }
}

TEST(DecodedSizeHint, ComesFromAZstdFrameThatTellsIt) {
  ByteVector plain = sample(123'456);
  auto hint = [](Format format, ConstBytes bytes) {
    return decoded_size_hint(format, bytes.first(std::min<size_t>(bytes.size(), kSniffBytes)));
  };
  EXPECT_EQ(hint(Format::Zstd, zstd(plain)), plain.size());
  EXPECT_EQ(hint(Format::Zstd, zstd(plain, {true, false, 0})), std::nullopt);
  EXPECT_EQ(hint(Format::Zstd, joined({skippable(4), zstd(plain)})), std::nullopt);
  EXPECT_EQ(hint(Format::Gzip, gzip(plain)), std::nullopt);
  EXPECT_EQ(hint(Format::Raw, plain), std::nullopt);
  EXPECT_EQ(hint(Format::Zstd, ConstBytes(zstd(plain)).first(5)), std::nullopt);
}

}  // namespace
}  // namespace curlingiron
