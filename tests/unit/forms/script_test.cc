#include "forms/script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>

#include <random>

#include "base/text.h"
#include "unpack/lzma.h"
#include "unpack/text.h"

namespace curlingiron {
namespace {

class Characters {
 public:
  explicit Characters(std::string_view text) : text_(text) {}
  int next() { return at_ < text_.size() ? static_cast<uint8_t>(text_[at_++]) : -1; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

class Bytes {
 public:
  explicit Bytes(ConstBytes bytes) : bytes_(bytes) {}
  int next() { return at_ < bytes_.size() ? bytes_[at_++] : -1; }

 private:
  ConstBytes bytes_;
  size_t at_ = 0;
};

// Text with repetitions near and far, and noise.
ByteVector mixed(size_t size) {
  std::mt19937 random(7);
  ByteVector bytes;
  while (bytes.size() < size) {
    switch (random() % 4) {
      case 0:
        for (int i = 0; i < 40; ++i) bytes.push_back(static_cast<uint8_t>(random()));
        break;
      case 1: bytes.insert(bytes.end(), 300, static_cast<uint8_t>(random())); break;
      default: {
        size_t from = bytes.empty() ? 0 : random() % bytes.size();
        size_t count = std::min<size_t>(bytes.size() - from, random() % 2000);
        for (size_t i = 0; i < count; ++i) bytes.push_back(bytes[from + i]);
      }
    }
  }
  bytes.resize(size);
  return bytes;
}

struct Packed {
  uint8_t properties;
  ByteVector bytes;
};

Packed pack(ConstBytes bytes, uint32_t lc, uint32_t lp, uint32_t pb) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 6);
  options.lc = lc;
  options.lp = lp;
  options.pb = pb;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  Packed packed{static_cast<uint8_t>(lc + 9 * (lp + 5 * pb)), ByteVector(2 * bytes.size() + 4096)};
  size_t size = 0;
  EXPECT_EQ(lzma_raw_buffer_encode(filters, nullptr, bytes.data(), bytes.size(),
                                   packed.bytes.data(), &size, packed.bytes.size()),
            LZMA_OK);
  packed.bytes.resize(size);
  return packed;
}

unpack::Outcome unpack_lzma(const Packed& packed, ConstBytes bytes, ByteVector& out) {
  static unpack::LzmaDecoder decoder;
  out.assign(bytes.size(), 0);
  Bytes in(packed.bytes);
  return decoder.decode(in, packed.properties, out.data(), out.size());
}

TEST(Lzma, UnpacksWhatLiblzmaPacks) {
  struct Properties {
    uint32_t lc, lp, pb;
  };
  for (size_t size : {1, 2, 100, 5000, 300'000}) {
    ByteVector bytes = mixed(size);
    for (Properties p : {Properties{3, 0, 2}, {0, 0, 0}, {4, 0, 4}, {0, 4, 0}, {1, 3, 1}}) {
      ByteVector out;
      EXPECT_EQ(unpack_lzma(pack(bytes, p.lc, p.lp, p.pb), bytes, out), unpack::Outcome::Done);
      EXPECT_EQ(out, bytes);
    }
  }
}

TEST(Lzma, SaysWhatIsWrong) {
  ByteVector bytes = mixed(20'000);
  Packed packed = pack(bytes, 3, 0, 2);
  ByteVector out;
  for (size_t left = 0; left < packed.bytes.size() - 16; left += 97) {
    Packed cut = packed;
    cut.bytes.resize(left);
    EXPECT_NE(unpack_lzma(cut, bytes, out), unpack::Outcome::Done) << left;
  }
  Packed strange = packed;
  strange.properties = 225;
  EXPECT_EQ(unpack_lzma(strange, bytes, out), unpack::Outcome::Damaged);
  strange = packed;
  strange.bytes[0] = 1;
  EXPECT_EQ(unpack_lzma(strange, bytes, out), unpack::Outcome::Damaged);
  // It ends before as much as was promised is there.
  ByteVector more(bytes.size() + 1);
  EXPECT_NE(unpack_lzma(packed, more, out), unpack::Outcome::Done);
}

// The text of the part that goes to `path`.
std::string part_of(const std::string& script, const std::string& path) {
  size_t at = script.find(concat("> \"$place/", path, "\""));
  EXPECT_NE(at, std::string::npos);
  size_t begin = script.find('\n', at) + 1;
  return script.substr(begin, script.find("END_OF_PART\n", begin) - begin);
}

ByteVector unpack_part(const std::string& text) {
  Characters characters(text);
  unpack::Base85<Characters> in(characters);
  unpack::Header header;
  if (!unpack::read_header(in, header)) return {};
  ByteVector out(header.size);
  if (header.method == unpack::Method::Lzma) {
    static unpack::LzmaDecoder decoder;
    EXPECT_EQ(decoder.decode(in, header.properties, out.data(), out.size()), unpack::Outcome::Done);
  } else {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(in.next());
  }
  EXPECT_FALSE(in.is_damaged());
  EXPECT_EQ(unpack::crc32_of(out.data(), out.size()), header.crc);
  return out;
}

TEST(Script, CarriesItsParts) {
  ByteVector program = mixed(70'001);
  ByteVector kernel = mixed(12'345);
  Packed packed = pack(program, 3, 0, 2);
  ByteVector unpacker = {0x7f, 'E', 'L', 'F', 0, 0xff, '\'', '%', '\\'};
  ScriptDescription script{
      "x86_64",
      unpacker,
      {{"curlingiron", lzma_part(program, packed.properties, packed.bytes), program.size(), true},
       {"payload/vmlinuz", store_part(kernel), kernel.size(), false}},
      "--payload \"$place/payload\""};
  std::string text = make_script(script);
  EXPECT_EQ(unpack_part(part_of(text, "curlingiron")), program);
  EXPECT_EQ(unpack_part(part_of(text, "payload/vmlinuz")), kernel);
  EXPECT_NE(text.find("printf '\\177\\105\\114\\106\\000\\377\\047\\045\\134'\n"),
            std::string::npos);
  EXPECT_NE(text.find("flash --payload \"$place/payload\" \"$@\""), std::string::npos);
  for (std::string_view line : split(text, '\n')) EXPECT_LE(line.size(), 120);
  // All of it is in functions, but for three lines.
  EXPECT_TRUE(text.ends_with("\n{ curlingiron_main \"$@\"; exit; }\n"));
}

TEST(Base85, FindsWhatIsNoneOfIt) {
  for (std::string_view text : {"0000", "0000~", "0000 ", "#####", "00000\n0\x80"}) {
    Characters characters(text);
    unpack::Base85<Characters> in(characters);
    while (in.next() >= 0) continue;
    EXPECT_TRUE(in.is_damaged()) << text;
  }
  Characters characters("00\n000\r\n");
  unpack::Base85<Characters> in(characters);
  int count = 0;
  while (in.next() >= 0) ++count;
  EXPECT_EQ(count, 4);
  EXPECT_FALSE(in.is_damaged());
}

}  // namespace
}  // namespace curlingiron
