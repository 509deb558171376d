// Files as the formats' own libraries make them.
#pragma once

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <initializer_list>
#include <random>

#include "base/units.h"
#include "unit/io/sources.h"

namespace curlingiron {

// Compresses to about a half: blocks of all kinds.
inline ByteVector sample(size_t size, uint64_t seed = 1) {
  ByteVector bytes = random_bytes(size, seed);
  for (size_t i = 0; i < size; ++i) {
    if (i / 64 % 3 != 0) bytes[i] = static_cast<uint8_t>("curlingiron "[i % 12]);
  }
  return bytes;
}

// As a disk is: text, noise, and half of it free.
// With a partition in its first sector, of which there must be enough bytes.
inline ByteVector as_disk(ByteVector bytes) {
  static constexpr uint8_t kPartition[16] = {0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0};
  std::copy_n(kPartition, sizeof kPartition, bytes.begin() + 446);
  std::fill_n(bytes.begin() + 446 + sizeof kPartition, 48, uint8_t{0});
  bytes[510] = 0x55;
  bytes[511] = 0xaa;
  return bytes;
}

inline ByteVector as_vector(std::string_view text) { return {text.begin(), text.end()}; }

inline ByteVector disk_sample(size_t size, uint64_t seed = 1) {
  ByteVector bytes(size);
  std::mt19937_64 random(seed);
  for (size_t at = 0; at < size;) {
    size_t length = std::min<size_t>(size - at, 1 + random() % 300'000);
    ByteVector piece =
        random() % 4 == 0 ? random_bytes(length, random()) : sample(length, random());
    if (random() % 2 == 0) piece.assign(length, 0);
    std::copy(piece.begin(), piece.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
    at += length;
  }
  return bytes;
}

inline ByteVector joined(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const ByteVector& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

struct DeflateOptions {
  int level = 6;
  int strategy = Z_DEFAULT_STRATEGY;
  int wrapper = MAX_WBITS + 16;  // gzip; -MAX_WBITS: none
  int memory = 8;
};

inline ByteVector deflate_with(ConstBytes bytes, DeflateOptions options,
                               gz_header* header = nullptr) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, options.level, Z_DEFLATED, options.wrapper, options.memory,
                         options.strategy),
            Z_OK);
  if (header != nullptr) {
    EXPECT_EQ(deflateSetHeader(&stream, header), Z_OK);
  }
  ByteVector result(deflateBound(&stream, bytes.size()) + 1000);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

inline ByteVector gzip(ConstBytes bytes, bool with_name = false) {
  gz_header header{};
  char name[] = "disk.img";
  header.name = reinterpret_cast<Bytef*>(name);
  header.hcrc = 1;
  return deflate_with(bytes, {}, with_name ? &header : nullptr);
}

struct ZstdOptions {
  bool checksum = true;
  bool content_size = true;
  int window_log = 0;
};

inline ByteVector zstd(ConstBytes bytes, ZstdOptions options = {}) {
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

// Also lz4's.
inline ByteVector skippable(size_t size, uint8_t low = 0x50) {
  ByteWriter out;
  out.le32(0x184D2A00u | low);
  out.le32(static_cast<uint32_t>(size));
  out.zeros(size);
  return std::move(out).bytes();
}

struct XzOptions {
  lzma_check check = LZMA_CHECK_CRC64;
  uint64_t block_size = 0;  // 0: one block, without its size in front, as `xz -T1` makes it
  uint32_t preset = 1;
};

inline ByteVector xz(ConstBytes bytes, XzOptions options = {}) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (options.block_size != 0) {
    lzma_mt mt{};
    mt.threads = 2;
    mt.block_size = options.block_size;
    mt.preset = options.preset;
    mt.check = options.check;
    EXPECT_EQ(lzma_stream_encoder_mt(&stream, &mt), LZMA_OK);
  } else {
    EXPECT_EQ(lzma_easy_encoder(&stream, options.preset, options.check), LZMA_OK);
  }
  ByteVector result(lzma_stream_buffer_bound(bytes.size()) + 1'000'000);
  stream.next_in = bytes.data();
  stream.avail_in = bytes.size();
  stream.next_out = result.data();
  stream.avail_out = result.size();
  EXPECT_EQ(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
  result.resize(stream.total_out);
  lzma_end(&stream);
  return result;
}

inline ByteVector bzip2(ConstBytes bytes, int level = 9) {
  ByteVector result(bytes.size() + bytes.size() / 50 + 1000);
  unsigned size = static_cast<unsigned>(result.size());
  char empty[1];  // libbz2 takes no null pointer
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(
                reinterpret_cast<char*>(result.data()), &size,
                bytes.empty() ? empty : reinterpret_cast<char*>(const_cast<uint8_t*>(bytes.data())),
                static_cast<unsigned>(bytes.size()), level, 0, 0),
            BZ_OK);
  result.resize(size);
  return result;
}

struct Lz4Options {
  bool content_checksum = true;
  bool block_checksum = false;
  bool content_size = false;
  bool linked = false;
  LZ4F_blockSizeID_t block = LZ4F_max64KB;
};

inline ByteVector lz4(ConstBytes bytes, Lz4Options options = {}) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = options.block;
  preferences.frameInfo.blockMode = options.linked ? LZ4F_blockLinked : LZ4F_blockIndependent;
  preferences.frameInfo.contentChecksumFlag =
      options.content_checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
  preferences.frameInfo.blockChecksumFlag =
      options.block_checksum ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
  preferences.frameInfo.contentSize = options.content_size ? bytes.size() : 0;
  ByteVector result(LZ4F_compressFrameBound(bytes.size(), &preferences));
  size_t size =
      LZ4F_compressFrame(result.data(), result.size(), bytes.data(), bytes.size(), &preferences);
  EXPECT_FALSE(LZ4F_isError(size));
  result.resize(size);
  return result;
}

inline ByteVector lz4_legacy(ConstBytes bytes) {
  ByteWriter out;
  out.le32(0x184C2102);
  while (!bytes.empty()) {
    ConstBytes block = bytes.first(std::min<size_t>(bytes.size(), 8_MiB));
    bytes = bytes.subspan(block.size());
    ByteVector compressed(LZ4_compressBound(static_cast<int>(block.size())));
    int size = LZ4_compress_default(
        reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(compressed.data()),
        static_cast<int>(block.size()), static_cast<int>(compressed.size()));
    out.le32(static_cast<uint32_t>(size));
    out.append(ConstBytes(compressed).first(static_cast<size_t>(size)));
  }
  return std::move(out).bytes();
}

// What a test wants wrong is changed in the fields.
struct ZipMember {
  std::string name = "disk.img";
  ByteVector plain;
  uint16_t method = 8;
  uint16_t flags = 0;  // 8: sizes follow the data
  bool zip64 = false;
  bool descriptor_signature = true;
};

inline uint32_t crc_of(ConstBytes bytes) {
  return static_cast<uint32_t>(::crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

inline ByteVector zip(const std::vector<ZipMember>& members, std::string_view comment = "",
                      bool zip64_end = false, std::string_view mark = "") {
  ByteWriter out;
  out.append(mark);
  ByteWriter directory;
  for (const ZipMember& member : members) {
    ByteVector data =
        member.method == 0 ? member.plain : deflate_with(member.plain, {6, 0, -MAX_WBITS, 8});
    bool follow = (member.flags & 8) != 0;
    uint32_t crc = crc_of(member.plain);
    uint64_t offset = out.size();
    auto narrow = [&](uint64_t value) {
      return member.zip64 ? 0xffffffffu : static_cast<uint32_t>(value);
    };
    out.le32(0x04034b50);
    out.le16(20);
    out.le16(member.flags);
    out.le16(member.method);
    out.le32(0x12345678);
    out.le32(follow ? 0 : crc);
    out.le32(follow ? 0 : narrow(data.size()));
    out.le32(follow ? 0 : narrow(member.plain.size()));
    out.le16(static_cast<uint16_t>(member.name.size()));
    out.le16(member.zip64 ? 20 : 0);
    out.append(member.name);
    if (member.zip64) {
      out.le16(1);
      out.le16(16);
      out.le64(follow ? 0 : member.plain.size());
      out.le64(follow ? 0 : data.size());
    }
    out.append(data);
    if (follow) {
      if (member.descriptor_signature) out.le32(0x08074b50);
      out.le32(crc);
      for (uint64_t size : {data.size(), member.plain.size()}) {
        if (member.zip64) {
          out.le64(size);
        } else {
          out.le32(static_cast<uint32_t>(size));
        }
      }
    }
    directory.le32(0x02014b50);
    directory.le16(0x0314);
    directory.le16(20);
    directory.le16(member.flags);
    directory.le16(member.method);
    directory.le32(0x12345678);
    directory.le32(crc);
    directory.le32(narrow(data.size()));
    directory.le32(narrow(member.plain.size()));
    directory.le16(static_cast<uint16_t>(member.name.size()));
    directory.le16(member.zip64 ? 28 : 0);
    directory.le16(0);
    directory.le16(0);
    directory.le16(0);
    directory.le32(0);
    directory.le32(narrow(offset));
    directory.append(member.name);
    if (member.zip64) {
      directory.le16(1);
      directory.le16(24);
      directory.le64(member.plain.size());
      directory.le64(data.size());
      directory.le64(offset);
    }
  }
  uint64_t begin = out.size();
  out.append(directory.bytes());
  if (zip64_end) {
    uint64_t end = out.size();
    out.le32(0x06064b50);
    out.le64(44);
    out.le16(45);
    out.le16(45);
    out.le32(0);
    out.le32(0);
    out.le64(members.size());
    out.le64(members.size());
    out.le64(directory.size());
    out.le64(begin);
    out.le32(0x07064b50);
    out.le32(0);
    out.le64(end);
    out.le32(1);
  }
  out.le32(0x06054b50);
  out.le16(0);
  out.le16(0);
  for (int i = 0; i < 2; ++i) {
    out.le16(zip64_end ? 0xffff : static_cast<uint16_t>(members.size()));
  }
  out.le32(zip64_end ? 0xffffffff : static_cast<uint32_t>(directory.size()));
  out.le32(zip64_end ? 0xffffffff : static_cast<uint32_t>(begin));
  out.le16(static_cast<uint16_t>(comment.size()));
  out.append(comment);
  return std::move(out).bytes();
}

}  // namespace curlingiron
