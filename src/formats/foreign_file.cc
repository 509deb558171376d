#include "formats/foreign_file.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUnpack = "unpack it and serve the disk image in it";
constexpr std::string_view kCompressAnew = "serve the disk image as gzip, xz or zstd";
constexpr std::string_view kConvert = "convert it with \"qemu-img convert -O raw\"";
constexpr std::string_view kRestore =
    "restore it with the tool that made it onto a disk of a machine or a loop device, and serve "
    "that disk's bytes";
constexpr std::string_view kForFlash =
    "it is for a board's own flash memory; use the project's disk image (raw, qcow2)";
constexpr std::string_view kRootAlone =
    "it holds files for another system to mount, nothing that boots; use the project's disk image "
    "(raw, qcow2)";
constexpr std::string_view kNamesAlone =
    "it has no data of files in it; use an image of the whole disk";
constexpr std::string_view kDecrypt = "decrypt it and serve the disk image in it";
constexpr std::string_view kOther = "check that it is the file that was meant";

struct Magic {
  size_t offset;
  std::string_view bytes;
  ForeignFile file;
};

// The first that fits is taken: the longer of two with the same beginning comes first.
constexpr Magic kMagics[] = {
    // Archives and packages.
    {257, "ustar"sv, {"a tar archive", kUnpack}},
    {0, "Rar!\x1a\x07"sv, {"a rar archive", kUnpack}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive", kUnpack}},
    {0, "MSCF\0\0\0\0"sv, {"a cabinet archive (cab)", kUnpack}},
    {0, "ISc("sv, {"an InstallShield archive (cab)", kUnpack}},
    {0, "xar!"sv, {"a xar archive", kUnpack}},
    {0, "!<arch>\ndebian-binary"sv, {"a Debian package", kUnpack}},
    {0, "!<arch>\n"sv, {"an ar archive", kUnpack}},
    {0, "\xed\xab\xee\xdb"sv, {"an RPM package", kUnpack}},
    {0, "070701"sv, {"a cpio archive", kUnpack}},
    {0, "070702"sv, {"a cpio archive", kUnpack}},
    {0, "070707"sv, {"a cpio archive", kUnpack}},
    {0, "\xc7\x71\0"sv, {"a cpio archive", kUnpack}},
    {2, "-lh"sv, {"an lha archive", kUnpack}},
    {2, "-lz"sv, {"an lha archive", kUnpack}},
    {7, "**ACE**"sv, {"an ace archive", kUnpack}},
    {20, "\xdc\xa7\xc4\xfd"sv, {"a zoo archive", kUnpack}},
    {0, "\x60\xea"sv, {"an arj archive", kUnpack}},
    {0, "SIT!"sv, {"a StuffIt archive", kUnpack}},
    {0, "StuffIt "sv, {"a StuffIt archive", kUnpack}},
    {0, "MSWIM\0\0\0"sv, {"a Windows installation image (wim)", kRootAlone}},
    {0, "WLPWM\0\0\0"sv, {"a Windows installation image (wim)", kRootAlone}},
    {0, "PAR2\0PKT"sv, {"a recovery file (PAR2)", kOther}},
    // Compressed in ways that are not decoded here.
    {0, "\x1f\x9d"sv, {"compressed with \"compress\" (.Z)", kCompressAnew}},
    {0, "\x1f\xa0"sv, {"compressed with \"compress -H\" (.Z)", kCompressAnew}},
    {0, "\x1f\x1e"sv, {"compressed with \"pack\" (.z)", kCompressAnew}},
    {0, "LZIP\x01"sv, {"lzip-compressed", kCompressAnew}},
    {0, "LRZI"sv, {"lrzip-compressed", kCompressAnew}},
    {0, "RZIP"sv, {"rzip-compressed", kCompressAnew}},
    {0, "7kSt\xa0\x31\x83\xd3"sv, {"zpaq-compressed", kCompressAnew}},
    {0, "zPQ"sv, {"zpaq-compressed", kCompressAnew}},
    {0, "SZDD\x88\xf0\x27\x33"sv, {"compressed with Microsoft's \"compress\"", kCompressAnew}},
    {0, "bvx"sv, {"LZFSE-compressed", kCompressAnew}},
    {0, "pbzx"sv, {"pbzx-compressed", kCompressAnew}},
    {0, "\xff\x06\0\0sNaPpY"sv, {"snappy-compressed", kCompressAnew}},
    {1, "\xb5\x2f\xfd"sv, {"compressed by a zstd of before 2016", kCompressAnew}},
    {0, "\x37\xa4\x30\xec"sv, {"a dictionary for zstd", kOther}},
    // Encrypted.
    {0, "Salted__"sv, {"encrypted (openssl enc)", kDecrypt}},
    {0, "age-encryption.org/"sv, {"encrypted (age)", kDecrypt}},
    {0, "\x8c\x0d\x04"sv, {"encrypted (PGP)", kDecrypt}},
    {0, "\x85\x01\x0c\x03"sv, {"encrypted (PGP)", kDecrypt}},
    {0, "\x85\x02\x0c\x03"sv, {"encrypted (PGP)", kDecrypt}},
    {0, "encrcdsa"sv, {"an encrypted Apple disk image (dmg)", kDecrypt}},
    // An optical disk. ECMA-119, 6.2.1 and 8.1: sector 16, after its type; hybrid ones have
    // partitions.
    {32769,
     "CD001"sv,
     {"a CD or DVD (ISO 9660) without partitions",
      "no disk boots from it; use the project's disk image (raw, qcow2), or a hybrid ISO"}},
    // Virtual disks.
    {0, "KDMV"sv, {"a VMware disk (vmdk)", kConvert}},
    {0, "COWD"sv, {"a VMware disk (vmdk)", kConvert}},
    {0,
     "# Disk DescriptorFile"sv,
     {"the description of a VMware disk (vmdk)",
      "convert it, with the files that it names, with \"qemu-img convert -O raw\""}},
    {0, "vhdxfile"sv, {"a Hyper-V disk (vhdx)", kConvert}},
    {0, "conectix"sv, {"a Hyper-V disk (VHD) that is not of fixed size", kConvert}},
    {64, "\x7f\x10\xda\xbe"sv, {"a VirtualBox disk (vdi)", kConvert}},
    {0, "<<< "sv, {"a VirtualBox disk (vdi)", kConvert}},
    {0, "QED\0"sv, {"a QED disk", kConvert}},
    {0, "WithoutFreeSpace"sv, {"a Parallels disk (hdd)", kConvert}},
    {0, "WithouFreSpacExt"sv, {"a Parallels disk (hdd)", kConvert}},
    {0, "Bochs Virtual HD Image"sv, {"a Bochs disk", kConvert}},
    {0, "#!/bin/sh\n#V2.0 Format"sv, {"a compressed loop image (cloop)", kConvert}},
    {0, "OOOM"sv, {"a User-mode Linux disk (cow)", "merge it with \"uml_moo\""}},
    {0,
     "sprs"sv,
     {"a sparse Apple disk image (sparseimage)",
      "convert it with \"hdiutil convert -format UDTO\""}},
    {0, "EVF\x09\x0d\x0a\xff"sv, {"an EnCase image (E01)", "convert it with \"ewfexport -f raw\""}},
    {0, "EVF2\r\n\x81"sv, {"an EnCase image (Ex01)", "convert it with \"ewfexport -f raw\""}},
    {0, "AFF10\r\n"sv, {"a forensic image (AFF)", "convert it with \"affconvert -r\""}},
    {0, "MComprHD"sv, {"a compressed disk of MAME (chd)", "convert it with \"chdman extracthd\""}},
    // Other imaging tools' own formats.
    {0, "\x3a\xff\x26\xed"sv, {"an Android sparse image", "convert it with \"simg2img\""}},
    {0,
     "partclone-image"sv,
     {"a partclone image of one partition, as Clonezilla makes them", kRestore}},
    {0, "PaRtImAgE-VoLuMe"sv, {"a partimage volume", kRestore}},
    {0, "FsA0"sv, {"an FSArchiver archive", kRestore}},
    {0, "ArCh"sv, {"an FSArchiver archive", kRestore}},
    {0, "\0ntfsclone-image"sv, {"an ntfsclone image of one partition", kRestore}},
    {0, "xFSdump0"sv, {"a backup by xfsdump", kRestore}},
    {24, "\x6c\xea\0\0"sv, {"a backup by dump", kRestore}},
    {24, "\x6b\xea\0\0"sv, {"a backup by dump", kRestore}},
    {0, "btrfs-stream\0"sv, {"a stream of \"btrfs send\"", kRestore}},
    {0, "\x8b\x66\x95\x72\xe2\x25\x5c\xbd"sv, {"a dump by btrfs-image", kNamesAlone}},
    {0, "XFSM"sv, {"a dump by xfs_metadump", kNamesAlone}},
    {0, "XMD2"sv, {"a dump by xfs_metadump", kNamesAlone}},
    {8, "\xac\xcb\xba\xf5\x02\0\0\0"sv, {"a stream of \"zfs send\"", kRestore}},
    {0, "\xb4\x6e\x68\x44"sv, {"an Acronis backup (tib)", kRestore}},
    {0, "\xfe\xef\x01"sv, {"a Ghost image (gho)", kRestore}},
    {4,
     "SignedImage "sv,
     {"a Full Flash Update (ffu)", "apply it with DISM, or use a raw disk image"}},
    {0, "UF2\nWQ\x5d\x9e"sv, {"firmware of a microcontroller (UF2)", kForFlash}},
    // For raw flash, and parts of a system.
    {0, "UBI#"sv, {"a UBI image", kForFlash}},
    {0, "\x31\x18\x10\x06"sv, {"a UBIFS image", kForFlash}},
    {0, "\x85\x19\x01\xe0"sv, {"a JFFS2 image", kForFlash}},
    {0, "\x85\x19\x02\xe0"sv, {"a JFFS2 image", kForFlash}},
    {0, "\x85\x19\x03\x20"sv, {"a JFFS2 image", kForFlash}},
    {0, "\x19\x85\x20\x03"sv, {"a JFFS2 image", kForFlash}},
    {0, "\x19\x85\xe0\x01"sv, {"a JFFS2 image", kForFlash}},
    {0, "HDR0"sv, {"a router's firmware (trx)", kForFlash}},
    {0, "hsqs"sv, {"a squashfs file system", kRootAlone}},
    {0, "sqsh"sv, {"a squashfs file system", kRootAlone}},
    {0, "shsq"sv, {"a squashfs file system", kRootAlone}},
    {0, "\x45\x3d\xcd\x28"sv, {"a cramfs file system", kRootAlone}},
    {0, "\x28\xcd\x3d\x45"sv, {"a cramfs file system", kRootAlone}},
    {0, "-rom1fs-"sv, {"a romfs file system", kRootAlone}},
    {0, "ANDROID!"sv, {"an Android boot image", kForFlash}},
    {0, "VNDRBOOT"sv, {"an Android boot image", kForFlash}},
    {0, "CrAU"sv, {"an update for Android or ChromeOS", kUnpack}},
    {0, "\x27\x05\x19\x56"sv, {"a U-Boot image (uImage)", kRootAlone}},
    {0, "\xd0\x0d\xfe\xed"sv, {"a device tree, or a U-Boot image (FIT)", kRootAlone}},
    // Programs.
    {8, "AI\x02"sv, {"a program (AppImage)", kOther}},
    {0,
     "\x7f"
     "ELF"sv,
     {"a program or a kernel (ELF)", kOther}},
    {0, "\xfe\xed\xfa\xce"sv, {"a program for macOS", kOther}},
    {0, "\xfe\xed\xfa\xcf"sv, {"a program for macOS", kOther}},
    {0, "\xce\xfa\xed\xfe"sv, {"a program for macOS", kOther}},
    {0, "\xcf\xfa\xed\xfe"sv, {"a program for macOS", kOther}},
    {0, "\xca\xfe\xba\xbe"sv, {"a program (Java, or for macOS)", kOther}},
    {0, "\0asm"sv, {"a program (WebAssembly)", kOther}},
    {0, "dex\n"sv, {"a program for Android", kOther}},
    {0, "MZ"sv, {"a program for Windows or UEFI", kOther}},
    // Documents, pictures, sound, data.
    {0, "%PDF-"sv, {"a document (PDF)", kOther}},
    {0, "%!PS"sv, {"a document (PostScript)", kOther}},
    {0, "{\\rtf"sv, {"a document (RTF)", kOther}},
    {0,
     "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv,
     {"a document of Microsoft Office, or an installer (msi)", kOther}},
    {0, "\x89PNG\r\n\x1a\n"sv, {"a picture (PNG)", kOther}},
    {0, "\xff\xd8\xff"sv, {"a picture (JPEG)", kOther}},
    {0, "GIF87a"sv, {"a picture (GIF)", kOther}},
    {0, "GIF89a"sv, {"a picture (GIF)", kOther}},
    {0, "II*\0"sv, {"a picture (TIFF)", kOther}},
    {0, "MM\0*"sv, {"a picture (TIFF)", kOther}},
    {0, "8BPS"sv, {"a picture (Photoshop)", kOther}},
    {0, "RIFF"sv, {"sound, a film or a picture (RIFF)", kOther}},
    {4, "ftyp"sv, {"sound, a film or a picture (MP4)", kOther}},
    {0, "\x1a\x45\xdf\xa3"sv, {"a film (Matroska)", kOther}},
    {0, "\0\0\x01\xba"sv, {"a film (MPEG)", kOther}},
    {0, "FLV\x01"sv, {"a film (Flash)", kOther}},
    {0, "OggS"sv, {"sound or a film (Ogg)", kOther}},
    {0, "fLaC"sv, {"sound (FLAC)", kOther}},
    {0, "ID3"sv, {"sound (MP3)", kOther}},
    {0, "wOFF"sv, {"a font", kOther}},
    {0, "wOF2"sv, {"a font", kOther}},
    {0, "SQLite format 3\0"sv, {"a database (SQLite)", kOther}},
    {0, "regf"sv, {"a part of the Windows registry", kOther}},
    {0, "PACK\0\0\0"sv, {"a pack of Git", kOther}},
    {0, "LPKSHHRH"sv, {"a log of systemd's journal", kOther}},
    {0, "\xd4\xc3\xb2\xa1"sv, {"captured network packets (pcap)", kOther}},
    {0, "\xa1\xb2\xc3\xd4"sv, {"captured network packets (pcap)", kOther}},
    {0, "\x0a\x0d\x0d\x0a"sv, {"captured network packets (pcapng)", kOther}},
    {0, "\0ZCK1"sv, {"zchunk-compressed", kCompressAnew}},
    {0, "zsync: "sv, {"a control file of zsync", "name the image itself"}},
    {0, "\x30\x82"sv, {"a key or a certificate (DER)", kOther}},
    {0, "d8:announce"sv, {"a BitTorrent file", "download the image with it, and serve that"}},
};

// tar of before POSIX has no magic: its header's sum must be right.
bool is_old_tar(ConstBytes begin) {
  constexpr size_t kHeader = 512;
  constexpr size_t kSumOffset = 148;
  constexpr size_t kSumDigits = 8;
  if (begin.size() < kHeader || begin[0] == 0) return false;
  uint32_t expected = 0;
  size_t digits = 0;
  for (uint8_t c : begin.subspan(kSumOffset, kSumDigits)) {
    if (c == ' ' && digits == 0) continue;
    if (c < '0' || c > '7') break;
    expected = expected << 3 | static_cast<uint32_t>(c - '0');
    ++digits;
  }
  uint32_t sum = 0;
  for (size_t i = 0; i < kHeader; ++i) {
    bool own = i >= kSumOffset && i < kSumOffset + kSumDigits;
    sum += own ? ' ' : begin[i];
  }
  return digits != 0 && sum == expected;
}

// RFC 1950: the usual window of 32 KiB, and a check of the first two bytes. What follows is a block
// of deflate.
bool is_zlib(ConstBytes begin) {
  return begin.size() > 2 && begin[0] == 0x78 && (begin[0] << 8 | begin[1]) % 31 == 0 &&
         (begin[1] & 0x20) == 0 && (begin[2] & 6) != 6;
}

// --- text

constexpr ForeignFile kWebPage = {"a web page (html)",
                                  "it may be a log-in or error page; check where it comes from"};
constexpr ForeignFile kXml = {"a page of text (xml)",
                              "it may be a log-in or error page; check where it comes from"};
constexpr ForeignFile kJson = {
    "an answer of a program (json)",
    "it may be an error, or ask for a log-in; check where it comes from"};
constexpr ForeignFile kDigests = {"a list of digests",
                                  "name the image itself; the list is for --sums"};
constexpr ForeignFile kSigned = {"a signature",
                                 "name the image itself; the signature is for --sig"};
constexpr ForeignFile kText = {"text",
                               "it may be an error page, or a description of the file that was "
                               "meant; check where it comes from"};

struct Beginning {
  std::string_view text;
  ForeignFile file;
};
constexpr Beginning kBeginnings[] = {
    {"version https://git-lfs.github.com/",
     {"a pointer of Git LFS, not the file",
      "fetch the file itself (\"git lfs pull\"), or use the URL that downloads it"}},
    {"/annex/objects/",
     {"a pointer of git-annex, not the file", "fetch the file itself (\"git annex get\")"}},
    {"-----BEGIN PGP SIGNATURE-----", kSigned},
    {"untrusted comment:", kSigned},
    {"-----BEGIN PGP SIGNED MESSAGE-----",
     {"a signed text (PGP)", "name the image itself; a list of digests is for --sums"}},
    {"-----BEGIN PGP MESSAGE-----", {"encrypted (PGP)", kDecrypt}},
    {"-----BEGIN AGE ENCRYPTED FILE-----", {"encrypted (age)", kDecrypt}},
    {"-----BEGIN ", {"a key or a certificate (PEM)", kOther}},
    {"ssh-", {"a key (ssh)", kOther}},
    {"ecdsa-sha2-", {"a key (ssh)", kOther}},
    {"#cloud-config", {"a cloud-config", "name the image itself"}},
    {"# v2 git bundle", {"a bundle of Git", kOther}},
    {"# v3 git bundle", {"a bundle of Git", kOther}},
    {"HTTP/1.", {"an answer of a server with its head", "store the answer's body alone"}},
    {"#!", {"a script", kOther}},
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

bool holds_tag(std::string_view text, std::string_view tag) {
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    if (equal_ignoring_case(text.substr(at, tag.size()), tag)) return true;
  }
  return false;
}

bool is_json(std::string_view text) {
  std::string_view rest = without_blanks(text.substr(1));
  if (text[0] == '{') return rest.starts_with('"') || rest.starts_with('}');
  return !rest.empty() && "{[\"]-0123456789tfn"sv.find(rest[0]) != std::string_view::npos;
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

// "DIGEST  name", "SHA256 (name) = DIGEST", or the digest alone.
bool is_digest_line(std::string_view line) {
  if (size_t sign = line.find(") = "); sign != std::string_view::npos && line.find(" (") < sign) {
    line.remove_prefix(sign + 4);
  }
  std::string_view digest = line.substr(0, std::min(line.find_first_of(" \t\r"), line.size()));
  constexpr size_t kDigits[] = {32, 40, 56, 64, 96, 128};
  return std::find(std::begin(kDigits), std::end(kDigits), digest.size()) != std::end(kDigits) &&
         is_hexadecimal(digest);
}

ForeignFile name_text(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  text = without_blanks(text);
  if (text.empty()) return kText;
  for (const Beginning& beginning : kBeginnings) {
    if (text.starts_with(beginning.text)) return beginning.file;
  }
  if (text[0] == '<') {
    bool page = false;
    for (std::string_view tag : {"<!doctype html", "<html", "<head", "<body"})
      page = page || holds_tag(text, tag);
    return page ? kWebPage : kXml;
  }
  if ((text[0] == '{' || text[0] == '[') && is_json(text)) return kJson;
  std::string_view line = text.substr(0, std::min(text.find('\n'), text.size()));
  // A comment may stand before the first digest.
  while (line.starts_with('#') && line.size() < text.size()) {
    text.remove_prefix(line.size() + 1);
    line = text.substr(0, std::min(text.find('\n'), text.size()));
  }
  if (is_digest_line(line)) return kDigests;
  return kText;
}

// No control characters but those that lay out a page or, with ESC, colour it.
bool is_text_byte(uint8_t c) {
  return !is_control(static_cast<char>(c)) || (c >= '\t' && c <= '\r') || c == 0x1b;
}

// The letters of other alphabets in UTF-8 (RFC 3629), or in a code of one byte each, where half of
// the bytes are ASCII at least: noise and what an erased flash holds are no text. A letter may be
// cut by the end.
bool has_letters_of_text(ConstBytes text) {
  size_t ascii = 0;
  bool utf8 = true;
  size_t following = 0;  // bytes of the letter that is under way
  for (uint8_t c : text) {
    bool follows = c >= 0x80 && c < 0xc0;
    utf8 = utf8 && follows == (following != 0);
    following = following != 0 ? following - 1 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    ascii += c < 0x80 ? 1 : 0;
  }
  return utf8 || ascii * 2 >= text.size();
}

// UTF-16's units as one byte each, what is beyond Latin as a question mark; empty where it is none.
std::string from_utf16(ConstBytes begin) {
  bool marked_little = has(begin, 0, "\xff\xfe");
  bool marked_big = has(begin, 0, "\xfe\xff");
  bool little =
      marked_little || (!marked_big && begin.size() >= 8 && begin[0] != 0 && begin[1] == 0);
  bool big = marked_big || (!little && begin.size() >= 8 && begin[0] == 0 && begin[1] != 0);
  if (!little && !big) return {};
  constexpr size_t kFewestUnmarked = 4;  // fewer are a number
  std::string text;
  bool marked = marked_little || marked_big;
  for (size_t i = marked ? 2 : 0; i + 1 < begin.size(); i += 2) {
    uint8_t low = begin[little ? i : i + 1];
    uint8_t high = begin[little ? i + 1 : i];
    if (high == 0 && low == 0) {
      if (!all_zero(begin.subspan(i))) return {};
      break;
    }
    if (high == 0 && !is_text_byte(low)) return {};
    if (high != 0 && !marked) return {};
    text += high == 0 && low < 0x80 ? static_cast<char>(low) : '?';
  }
  return marked || text.size() >= kFewestUnmarked ? text : std::string();
}

}  // namespace

std::optional<ForeignFile> find_kernel(ConstBytes begin) {
  constexpr std::string_view kStartIt =
      "a boot loader starts it; use the project's disk image (raw, qcow2)";
  // Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
  // Documentation/arch/riscv/boot-image-header.rst
  constexpr Magic kKernels[] = {
      {0x202, "HdrS"sv, {"a Linux kernel", kStartIt}},
      {0x38, "ARM\x64"sv, {"a Linux kernel", kStartIt}},
      {0x38, "RSC\x05"sv, {"a Linux kernel", kStartIt}},
      {0x24, "\x18\x28\x6f\x01"sv, {"a Linux kernel", kStartIt}},
  };
  for (const Magic& kernel : kKernels) {
    if (has(begin, kernel.offset, kernel.bytes)) return kernel.file;
  }
  return std::nullopt;
}

std::optional<ForeignFile> find_foreign_file(ConstBytes begin) {
  for (const Magic& magic : kMagics) {
    if (has(begin, magic.offset, magic.bytes)) return magic.file;
  }
  if (std::optional<ForeignFile> text = find_text(begin)) return text;
  if (is_old_tar(begin)) return ForeignFile{"a tar archive", kUnpack};
  if (is_zlib(begin)) return ForeignFile{"zlib-compressed, without gzip's head", kCompressAnew};
  return std::nullopt;
}

std::optional<ForeignFile> find_text(ConstBytes begin) {
  begin = begin.first(std::min(begin.size(), kForeignBytes));
  if (begin.empty()) return std::nullopt;
  if (std::string wide = from_utf16(begin); !wide.empty()) return name_text(wide);
  size_t end = static_cast<size_t>(std::find(begin.begin(), begin.end(), 0) - begin.begin());
  ConstBytes text = begin.first(end);
  if (text.empty() || !all_zero(begin.subspan(end))) return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), is_text_byte)) return std::nullopt;
  if (!has_letters_of_text(text)) return std::nullopt;
  return name_text(as_text(text));
}

}  // namespace curlingiron
