#include "payload/initramfs_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "base/text.h"
#include "formats/module_index.h"
#include "io/random.h"
#include "payload/compress.h"
#include "payload/initramfs_diff.h"
#include "payload/initramfs_reasons.h"
#include "payload/initramfs_shares.h"
#include "support/effort.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

struct File {
  std::string path;
  std::string text;
  uint32_t mode = 0644;
};

// Parents are made; "a -> b" is a symlink.
ByteVector archive_of(const std::vector<File>& files) {
  CpioWriter cpio;
  std::set<std::string> made;
  for (const File& file : files) {
    std::string path = file.path.substr(0, file.path.find(" -> "));
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      if (made.insert(path.substr(0, slash)).second) {
        EXPECT_TRUE(cpio.add_directory(path.substr(0, slash)).ok());
      }
    }
    Result<void> added = path == file.path
                             ? cpio.add_file(path, file.mode, as_bytes(file.text))
                             : cpio.add_symlink(path, file.path.substr(path.size() + 4));
    EXPECT_TRUE(added.ok()) << added.error().message();
  }
  return std::move(cpio).finish();
}

ByteVector packed(const ByteVector& plain, Compression compression,
                  Contents contents = Contents::Modules) {
  return compress(plain, compression, Effort::Fast, contents).value();
}

ByteVector operator+(ByteVector a, const ByteVector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ByteVector zeros(size_t count) { return ByteVector(count); }

std::string noise(size_t size, uint32_t state = 1) {
  std::string text(size, '\0');
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

struct Image {
  std::vector<std::string> paths;
  std::vector<std::string> contents;
  std::vector<ImageArchive> archives;
  uint64_t trailing_padding = 0;
  uint64_t boot_config = 0;
};

Result<Image> read_image(ConstBytes bytes, ImageLimits limits = {}) {
  MemoryRandomSource file(bytes);
  InitramfsReader reader(file, limits);
  Image image;
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    image.paths.push_back(entry->path);
    ByteVector data = TRY(reader.read_data(limits.unpacked));
    image.contents.push_back(entry->target.empty() ? std::string(as_text(data)) : entry->target);
  }
  image.archives = reader.archives();
  image.trailing_padding = reader.trailing_padding();
  image.boot_config = reader.boot_config_size();
  return image;
}

std::string error_of(ConstBytes bytes, ImageLimits limits = {}) {
  Result<Image> image = read_image(bytes, limits);
  return image.ok() ? "no error" : image.error().message();
}

// What is told of the file adds up to it.
void expect_accounted(const Image& image, size_t size) {
  uint64_t sum = image.trailing_padding + image.boot_config;
  for (const ImageArchive& archive : image.archives) {
    EXPECT_EQ(archive.offset,
              sum - image.trailing_padding - image.boot_config + archive.padding_before);
    sum += archive.padding_before + archive.packed_size;
  }
  EXPECT_EQ(sum, size);
}

const std::vector<File> kMicrocode = {{"kernel/x86/microcode/GenuineIntel.bin", "microcode"}};
const std::vector<File> kRoot = {
    {"init", "#!/bin/sh\n", 0755}, {"bin/busybox", noise(5000), 0755}, {"bin/sh -> busybox", ""}};

TEST(InitramfsImage, ReadsWhatWeBuild) {
  ByteVector bytes = packed(archive_of(kMicrocode), Compression::Xz) +
                     packed(archive_of(kRoot), Compression::Xz, Contents::X86Program);
  Image image = read_image(bytes).value();
  EXPECT_THAT(image.paths, ElementsAre("kernel", "kernel/x86", "kernel/x86/microcode",
                                       "kernel/x86/microcode/GenuineIntel.bin", "init", "bin",
                                       "bin/busybox", "bin/sh"));
  EXPECT_EQ(image.contents[3], "microcode");
  EXPECT_EQ(image.contents[6], noise(5000));
  EXPECT_EQ(image.contents[7], "busybox");
  ASSERT_THAT(image.archives, SizeIs(2));
  EXPECT_EQ(image.archives[1].format, Format::Xz);
  EXPECT_EQ(image.archives[1].offset % 4, 0U);
  expect_accounted(image, bytes.size());
}

TEST(InitramfsImage, SeveralCpioArchivesInOneStream) {
  ByteVector bytes = packed(archive_of(kMicrocode) + zeros(512) + archive_of(kRoot) + zeros(1024),
                            Compression::Zstd);
  Image image = read_image(bytes).value();
  EXPECT_THAT(image.paths, SizeIs(8));
  EXPECT_THAT(image.archives, SizeIs(1));
}

TEST(InitramfsImage, ZerosAroundAndABootConfigurationBehind) {
  std::string config = "kernel.console = ttyS0\n";
  ByteWriter footer;
  footer.append(config);
  footer.le32(static_cast<uint32_t>(config.size()));
  footer.le32(0);
  footer.append("#BOOTCONFIG\n");
  for (size_t after : {0, 3}) {
    ByteVector bytes = zeros(512) + archive_of(kMicrocode) + zeros(400) +
                       packed(archive_of(kRoot), Compression::Gzip) + zeros(20) + footer.bytes() +
                       zeros(after);
    Image image = read_image(bytes).value();
    EXPECT_THAT(image.paths, SizeIs(8));
    EXPECT_EQ(image.archives[0].padding_before, 512U);
    // The end mark's own padding is counted with the zeros.
    EXPECT_GE(image.archives[1].padding_before, 400U);
    EXPECT_EQ(image.boot_config, footer.size() + after);
    expect_accounted(image, bytes.size());
  }
}

struct Packer {
  std::string_view program;
  Format format;
  std::string_view command;  // from the file "in" to "out"
};

void PrintTo(const Packer& packer, std::ostream* out) { *out << packer.command; }

class EveryCompressor : public ::testing::TestWithParam<Packer> {
 protected:
  // Empty where the program is not installed.
  static ByteVector pack(const Packer& packer, const ByteVector& plain) {
    if (std::system(concat("command -v ", packer.program, " > /dev/null").c_str()) != 0) return {};
    TemporaryDirectory temporary = TemporaryDirectory::create().value();
    const std::string& directory = temporary.path();
    std::ofstream(directory + "/in", std::ios::binary)
        .write(reinterpret_cast<const char*>(plain.data()), static_cast<ptrdiff_t>(plain.size()));
    EXPECT_EQ(std::system(concat("cd ", directory, " && ", packer.command, " 2> log").c_str()), 0);
    std::ifstream file(directory + "/out", std::ios::binary);
    ByteVector out((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return out;
  }
};

TEST_P(EveryCompressor, OneBehindTheOther) {
  // Larger than a block of lzop, lz4 or bzip2 -1.
  ByteVector first = archive_of({{"big", std::string(9'000'000, 'x') + noise(300'000)}});
  ByteVector second = archive_of(kRoot);
  ByteVector a = pack(GetParam(), first);
  ByteVector b = pack(GetParam(), second);
  if (a.empty()) GTEST_SKIP() << GetParam().program << " is not installed";
  // lz4's legacy frames have no end of their own: zeros, or the next one's magic.
  for (size_t gap : {0, 4, 512}) {
    ByteVector bytes = archive_of(kMicrocode) + a + zeros(gap) + b + zeros(gap);
    Result<Image> image = read_image(bytes);
    ASSERT_TRUE(image.ok()) << image.error().message();
    EXPECT_THAT(image.value().paths, SizeIs(4 + 1 + 4));
    EXPECT_EQ(image.value().contents[4].size(), 9'300'000U);
    ASSERT_THAT(image.value().archives, SizeIs(3));
    EXPECT_EQ(image.value().archives[1].format, GetParam().format);
    EXPECT_EQ(image.value().archives[1].packed_size, a.size());
    EXPECT_EQ(image.value().archives[2].packed_size, b.size());
    expect_accounted(image.value(), bytes.size());
  }
  // Another compressor after it, and a plain archive.
  ByteVector mixed = a + zeros(512 - a.size() % 4) + archive_of(kMicrocode) + zeros(4) +
                     packed(archive_of(kRoot), Compression::Xz);
  EXPECT_THAT(read_image(mixed).value().archives, SizeIs(3));
}

size_t step_of_truncations() { return static_cast<size_t>(repetitions(37, 1)); }

TEST_P(EveryCompressor, EveryTruncationIsAnError) {
  ByteVector bytes = pack(GetParam(), archive_of(kRoot));
  if (bytes.empty()) GTEST_SKIP() << GetParam().program << " is not installed";
  for (size_t size = 0; size < bytes.size(); size += step_of_truncations()) {
    Result<Image> image = read_image(ConstBytes(bytes).first(size));
    EXPECT_FALSE(image.ok()) << size << " of " << bytes.size();
  }
}

TEST_P(EveryCompressor, DamageIsAnErrorOrSeenInWhatIsRead) {
  ByteVector bytes = pack(GetParam(), archive_of(kRoot));
  if (bytes.empty()) GTEST_SKIP() << GetParam().program << " is not installed";
  bool has_checksum = GetParam().format != Format::Lz4 && GetParam().format != Format::Lzma;
  Image right = read_image(bytes).value();
  const auto step = static_cast<size_t>(repetitions(29, 7));
  for (size_t at = bytes.size() / 3; at < bytes.size(); at += step) {
    ByteVector damaged = bytes;
    damaged[at] ^= 0x10;
    Result<Image> image = read_image(damaged);
    if (has_checksum && image.ok()) {
      EXPECT_EQ(image.value().contents, right.contents) << at;
    }
  }
}

TEST_P(EveryCompressor, ABombIsAnError) {
  ByteVector plain = archive_of({{"bomb", std::string(20'000'000, '\0')}});
  ByteVector bytes = pack(GetParam(), plain);
  if (bytes.empty()) GTEST_SKIP() << GetParam().program << " is not installed";
  ImageLimits limits;
  limits.unpacked = 10_MiB;
  EXPECT_THAT(error_of(bytes, limits), HasSubstr("more than 10.0 MiB unpacked"));
  // Zeros after the end mark, without an entry to blame.
  bytes = pack(GetParam(), archive_of(kRoot) + zeros(20'000'000));
  EXPECT_THAT(error_of(bytes, limits), HasSubstr("more than 10.0 MiB unpacked"));
}

INSTANTIATE_TEST_SUITE_P(
    InitramfsImage, EveryCompressor,
    ::testing::Values(Packer{"gzip", Format::Gzip, "gzip -c in > out"},
                      Packer{"bzip2", Format::Bzip2, "bzip2 -1 -c in > out"},
                      Packer{"xz", Format::Xz, "xz --check=crc32 -T1 -c in > out"},
                      Packer{"xz", Format::Xz, "xz --x86 --lzma2=dict=1MiB -c in > out"},
                      Packer{"xz", Format::Lzma, "xz --format=lzma -c in > out"},
                      Packer{"lzop", Format::Lzop, "lzop -c in > out"},
                      Packer{"lzop", Format::Lzop, "lzop -9 --crc32 -CC -c in > out"},
                      Packer{"lz4", Format::Lz4, "lz4 -l -9 -c in > out"},
                      Packer{"zstd", Format::Zstd, "zstd -q -c in > out"}));

TEST(InitramfsImage, EveryTruncationOfAPlainImageIsAnError) {
  ByteVector bytes = archive_of(kRoot);
  size_t complete = bytes.size() - 3;  // the end mark's own padding
  for (size_t size = 0; size < complete; size += step_of_truncations()) {
    EXPECT_FALSE(read_image(ConstBytes(bytes).first(size)).ok()) << size;
  }
  EXPECT_TRUE(read_image(ConstBytes(bytes).first(complete)).ok());
  EXPECT_THAT(error_of(ConstBytes(bytes).first(400)), HasSubstr("it is cut off"));
}

TEST(InitramfsImage, SaysWhatAFileIsInstead) {
  auto put = [](ByteVector& bytes, size_t at, std::string_view text) {
    std::copy(text.begin(), text.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  };
  ByteVector uefi = zeros(1024);
  put(uefi, 0, "MZ");
  ByteVector disk = zeros(1024);
  put(disk, 446, {"\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16});
  put(disk, 510, "\x55\xaa");
  auto bytes_of = [](std::string_view text) { return ByteVector(text.begin(), text.end()); };
  struct Case {
    ByteVector bytes;
    std::string_view words;
  };
  const Case kCases[] = {
      {{}, "it is empty"},
      {zeros(1000), "nothing but zeros"},
      {bytes_of("\x7f"
                "ELF\x02\x01\x01"),
       "an ELF program"},
      {uefi, "a UEFI program"},
      {disk, "a disk image with partitions"},
      {bytes_of("070707000000"), "-H newc"},
      {bytes_of("#!/bin/sh\n"), "a script"},
      {bytes_of("settings = 1\n"), "it is a text"},
      {bytes_of("\x01\x02\x03"), "of no kind that is known"},
      {bytes_of("PK\x03\x04 zip"), "zip data"},
      {bytes_of("\x27\x05\x19\x56uimage"), "U-Boot"},
  };
  for (const Case& c : kCases) EXPECT_THAT(error_of(c.bytes), HasSubstr(c.words));
  EXPECT_THAT(error_of(bytes_of("#!/bin/sh\n")), HasSubstr("inspect takes cpio archives"));
  for (Compression compression : {Compression::Gzip, Compression::Xz, Compression::Zstd}) {
    EXPECT_THAT(error_of(packed(disk, compression)),
                AllOf(HasSubstr("no cpio archive"), HasSubstr("a disk image with partitions")));
  }
}

TEST(InitramfsImage, JunkBehindIsNamed) {
  ByteVector bytes = archive_of(kRoot) + zeros(8);
  std::string junk = "#!/bin/sh\n";
  EXPECT_THAT(error_of(bytes + ByteVector(junk.begin(), junk.end())),
              AllOf(HasSubstr("follows archive 1"), HasSubstr("a script")));
  // The kernel refuses a plain archive that does not begin at a multiple of 4.
  EXPECT_THAT(error_of(packed(archive_of(kRoot), Compression::Zstd) + zeros(2) + archive_of(kRoot)),
              HasSubstr("multiple of 4"));
}

TEST(InitramfsImage, BoundsOnEntriesNamesAndArchives) {
  ByteVector bytes = archive_of(kRoot) + archive_of(kMicrocode);
  ImageLimits limits;
  limits.entries = 7;
  EXPECT_THAT(error_of(bytes, limits), HasSubstr("more than 7 entries"));
  limits.entries = 8;
  EXPECT_EQ(error_of(bytes, limits), "no error");
  limits.archives = 1;
  EXPECT_THAT(error_of(bytes, limits), HasSubstr("more than 1 archives"));
  limits.archives = 2;
  limits.names = 20;
  EXPECT_THAT(error_of(bytes, limits), HasSubstr("of names"));
  // A header that promises 4 GiB.
  std::string text(as_text(archive_of({{"f", "x"}})));
  text.replace(54, 8, "FFFFFFFF");
  EXPECT_THAT(error_of(as_bytes(text)), HasSubstr("more than 2.0 GiB unpacked"));
}

TEST(InitramfsImage, PlainPaths) {
  EXPECT_EQ(plain_path("./a/b"), "a/b");
  EXPECT_EQ(plain_path("/a"), "a");
  EXPECT_EQ(plain_path("."), "");
  EXPECT_EQ(plain_path(".hidden"), ".hidden");
}

TEST(ImageShares, AddUpToTheFile) {
  ByteVector bytes = zeros(4) + archive_of(kMicrocode) + zeros(16) +
                     packed(archive_of({{"zeros", std::string(100'000, 'a')},
                                        {"noise", noise(50'000)},
                                        {"more", noise(20'000, 99)}}),
                            Compression::Xz) +
                     packed(archive_of(kRoot), Compression::Zstd);
  MemoryRandomSource file(bytes);
  ImageShares shares = measure_shares(file).value();
  uint64_t sum = shares.names + shares.padding + shares.boot_config;
  std::map<std::string, uint64_t> packed_of;
  for (const PackedShare& share : shares.entries) {
    sum += share.packed;
    packed_of[share.path] = share.packed;
  }
  EXPECT_EQ(sum, bytes.size());
  EXPECT_EQ(shares.total, bytes.size());
  EXPECT_EQ(packed_of["kernel/x86/microcode/GenuineIntel.bin"], 9U);  // plain: its own bytes
  EXPECT_LT(packed_of["zeros"], 2'000U);
  EXPECT_NEAR(static_cast<double>(packed_of["noise"]), 50'000, 2'000);
}

std::string index_text() {
  ModuleIndex index;
  index.release = "6.1.0";
  index.modules = {
      {"ahci", "lib/modules/ahci.ko", {"libata", "libahci"}},
      {"failover", "lib/modules/failover.ko", {}},
      {"libahci", "lib/modules/libahci.ko", {"libata"}},
      {"libata", "lib/modules/libata.ko", {}},
      {"net_failover", "lib/modules/net_failover.ko", {"failover"}},
      {"sd_mod", "lib/modules/sd_mod.ko", {}},
      {"virtio_blk", "lib/modules/virtio_blk.ko", {"virtio"}},
      {"virtio", "lib/modules/virtio.ko", {}},
      {"virtio_net", "lib/modules/virtio_net.ko", {"failover", "net_failover", "virtio"}}};
  index.load = {"af_packet"};
  index.modules.push_back({"af_packet", "lib/modules/af_packet.ko", {}});
  index.reasons = {{"virtio_net", "virtio:d00000001v00001AF4"},
                   {"virtio_blk", "--module virtio_blk"},
                   {"ahci", "profile vm"},
                   {"sd_mod", "companion of ahci"},
                   {"lib/firmware/x.fw", "firmware of ahci"},
                   {"bin/busybox", "--add /bin/busybox"},
                   {"lib/x86_64-linux-gnu/libc.so.6", "needed by /bin/busybox"}};
  return format_module_index(index);
}

std::vector<File> our_files() {
  std::vector<File> files = {{"curlingiron/modules", index_text()},
                             {"curlingiron/config", "src=https://user:word@example.org/a\n", 0600},
                             {"bin/busybox", "program", 0755},
                             {"lib/firmware/x.fw", "firmware"},
                             {"lib/x86_64-linux-gnu/libc.so.6", "library"},
                             {"init", "init", 0755}};
  for (const char* name : {"ahci", "failover", "libahci", "libata", "net_failover", "sd_mod",
                           "virtio_blk", "virtio", "virtio_net", "af_packet"}) {
    files.push_back({concat("lib/modules/", name, ".ko"), name});
  }
  return files;
}

// "SUBJECT: SENTENCE" for each chain.
std::vector<std::string> why(const ByteVector& image, std::string_view name) {
  MemoryRandomSource file(image);
  Result<InitramfsReasons> reasons = InitramfsReasons::read(file);
  if (!reasons.ok()) return {reasons.error().message()};
  Result<std::vector<std::string>> subjects = reasons.value().resolve(name);
  if (!subjects.ok()) return {subjects.error().message()};
  std::vector<std::string> lines;
  for (const std::string& subject : subjects.value()) {
    std::vector<ReasonChain> chains = reasons.value().chains(subject).value();
    for (const ReasonChain& chain : chains) {
      lines.push_back(concat(subject, ": ", sentence(chain)));
    }
  }
  return lines;
}

TEST(InitramfsReasons, ChainsOfOurs) {
  ByteVector image = packed(archive_of(our_files()), Compression::Xz);
  EXPECT_THAT(why(image, "failover"),
              ElementsAre("failover: needed by net_failover, needed by virtio_net, which drives "
                          "virtio:d00000001v00001AF4"));
  // By path, by file name, and with the other spelling.
  for (const char* name : {"lib/modules/net_failover.ko", "/lib/modules/net_failover.ko",
                           "net_failover.ko", "net-failover"}) {
    EXPECT_THAT(why(image, name), ElementsAre("net_failover: needed by virtio_net, which drives "
                                              "virtio:d00000001v00001AF4"));
  }
  EXPECT_THAT(why(image, "virtio_net"),
              ElementsAre("virtio_net: drives virtio:d00000001v00001AF4"));
  // A chain for each root.
  EXPECT_THAT(
      why(image, "virtio"),
      ElementsAre("virtio: needed by virtio_blk, which was asked for by --module virtio_blk",
                  "virtio: needed by virtio_net, which drives virtio:d00000001v00001AF4"));
  EXPECT_THAT(why(image, "libata"), ElementsAre("libata: needed by libahci, needed by ahci, which "
                                                "belongs to profile vm"));
  EXPECT_THAT(why(image, "sd_mod"),
              ElementsAre("sd_mod: companion of ahci, which belongs to profile vm"));
  EXPECT_THAT(why(image, "x.fw"), ElementsAre("lib/firmware/x.fw: firmware of ahci, which belongs "
                                              "to profile vm"));
  EXPECT_THAT(why(image, "libc.so.6"),
              ElementsAre("lib/x86_64-linux-gnu/libc.so.6: needed by bin/busybox, which was asked "
                          "for by --add /bin/busybox"));
  EXPECT_THAT(why(image, "af_packet"), ElementsAre(HasSubstr("loaded at start")));
  EXPECT_THAT(why(image, "init"), ElementsAre("init: is the program that the kernel starts"));
  EXPECT_THAT(why(image, "lib/firmware"), ElementsAre(HasSubstr("a directory with 1 entry")));
  EXPECT_THAT(why(image, "virtio_nte"), ElementsAre(HasSubstr("did you mean virtio_net?")));
  EXPECT_THAT(why(image, "failove"), ElementsAre(HasSubstr("did you mean failover?")));
  EXPECT_THAT(why(image, "zzz"), ElementsAre(HasSubstr("neither a module nor a file")));
}

TEST(InitramfsReasons, ImagesOfOthers) {
  std::string folder = "usr/lib/modules/6.1.0/";
  ByteVector image =
      archive_of({{"init", "#!/bin/sh", 0755},
                  {folder + "modules.dep",
                   "kernel/virtio_net.ko.xz: kernel/net_failover.ko kernel/failover.ko\n"
                   "kernel/net_failover.ko: kernel/failover.ko\nkernel/failover.ko:\n"
                   "kernel/absent.ko: kernel/failover.ko\n"},
                  {folder + "kernel/virtio_net.ko.xz", "x"},
                  {folder + "kernel/net_failover.ko", "x"},
                  {folder + "kernel/failover.ko", "x"},
                  {"conf/modules", "# a comment\nvirtio-net\n"},
                  {"bin -> usr/bin", ""}});
  EXPECT_THAT(why(image, "failover"),
              ElementsAre("failover: needed by net_failover, needed by virtio_net, which is loaded "
                          "at start by conf/modules"));
  EXPECT_THAT(why(image, "bin"), ElementsAre("bin: is a symlink to usr/bin"));
  ByteVector nothing = archive_of({{"etc/passwd", "x"}});
  EXPECT_THAT(why(nothing, "passwd"), ElementsAre("etc/passwd: "));
}

TEST(InitramfsReasons, ADamagedIndexIsAnError) {
  ByteVector image = archive_of({{"curlingiron/modules", "release 1\nmodule a\n"}});
  EXPECT_THAT(why(image, "a"),
              ElementsAre(AllOf(HasSubstr("/curlingiron/modules"), HasSubstr("line 2"))));
}

ImageDiff diff_of(const ByteVector& a, const ByteVector& b) {
  MemoryRandomSource first(a);
  MemoryRandomSource second(b);
  return diff_images(first, second, "a", "b").value();
}

TEST(ImageDiff, HoweverItIsPacked) {
  ByteVector plain = archive_of(our_files());
  EXPECT_TRUE(diff_of(plain, packed(plain, Compression::Gzip)).equal());
  // The kernel keeps what comes last.
  EXPECT_TRUE(
      diff_of(archive_of({{"f", "old"}}) + archive_of({{"f", "new"}}), archive_of({{"f", "new"}}))
          .equal());
}

TEST(ImageDiff, WhatChanged) {
  ImageDiff diff = diff_of(archive_of({{"gone", "1"},
                                       {"mode", "x", 0644},
                                       {"text", "a\nb\nc\n"},
                                       {"link -> a", ""},
                                       {"binary", std::string("\0a", 2)},
                                       {"secret", "password\n", 0600},
                                       {"kind", "file"},
                                       {"same", "s"}}),
                           archive_of({{"new", "1"},
                                       {"mode", "x", 0755},
                                       {"text", "a\nB\nc\n"},
                                       {"link -> b", ""},
                                       {"binary", std::string("\0b", 2)},
                                       {"secret", "Password\n", 0600},
                                       {"kind -> file", ""},
                                       {"same", "s"}}));
  ASSERT_THAT(diff.only_first, SizeIs(1));
  EXPECT_EQ(diff.only_first[0].path, "gone");
  ASSERT_THAT(diff.only_second, SizeIs(1));
  EXPECT_EQ(diff.only_second[0].path, "new");
  EXPECT_EQ(diff.same, 1U);
  std::map<std::string, ChangedEntry> changed;
  for (const ChangedEntry& entry : diff.changed) changed.emplace(entry.first.path, entry);
  ASSERT_THAT(changed, SizeIs(6));
  EXPECT_TRUE(changed.at("mode").permissions);
  EXPECT_FALSE(changed.at("mode").content);
  EXPECT_TRUE(changed.at("link").content);
  EXPECT_TRUE(changed.at("kind").type);
  EXPECT_TRUE(changed.at("binary").lines.empty());
  EXPECT_TRUE(changed.at("secret").lines.empty());
  const std::vector<LineChange>& lines = changed.at("text").lines;
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_FALSE(lines[0].added);
  EXPECT_EQ(lines[0].line, "b");
  EXPECT_TRUE(lines[1].added);
  EXPECT_EQ(lines[1].line, "B");
}

TEST(ImageDiff, SecretsAreNotShown) {
  auto image = [](std::string_view config) {
    return archive_of({{"curlingiron/config", std::string(config), 0600}});
  };
  ImageDiff diff = diff_of(
      image("src=https://user:first@example.org/a?token=first\nheader=X-Key: first\nmtu=1\n"
            "unknown=first\nproxy=http://first:first@proxy.example\n"),
      image("src=https://user:second@example.org/a?token=second\nheader=X-Key: second\nmtu=2\n"
            "unknown=second\nproxy=http://second:second@proxy.example\n"));
  ASSERT_THAT(diff.changed, SizeIs(1));
  std::string shown;
  for (const LineChange& line : diff.changed[0].lines) shown += line.line + "\n";
  EXPECT_THAT(shown, AllOf(Not(HasSubstr("first")), Not(HasSubstr("second"))));
  EXPECT_THAT(shown, AllOf(HasSubstr("src=(not shown)"), HasSubstr("header=(not shown)"),
                           HasSubstr("mtu=1"), HasSubstr("mtu=2")));
}

}  // namespace
}  // namespace curlingiron
