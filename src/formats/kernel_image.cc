#include "formats/kernel_image.h"

#include "base/text.h"

namespace curlingiron {
namespace {

// Offsets of the x86 setup header.
constexpr size_t kBootFlagAt = 0x1fe;
constexpr size_t kMagicAt = 0x202;
constexpr size_t kXloadFlagsAt = 0x236;
constexpr size_t kCommandLineSizeAt = 0x238;
constexpr size_t kInitSizeAt = 0x260;  // since protocol 2.10
constexpr uint16_t kBootFlag = 0xaa55;
constexpr uint16_t kXloadKernel64 = 1;  // since protocol 2.12
constexpr size_t kArm64MagicAt = 56;
// The version string is printed by the boot loader: one line.
constexpr size_t kMaxVersion = 1024;

bool has_at(ConstBytes bytes, size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() && as_text(bytes.subspan(at, magic.size())) == magic;
}

constexpr std::string_view kAdvice = "; name the one that boots, usually /boot/vmlinuz-RELEASE";

std::string_view what_it_looks_like(ConstBytes head) {
  using namespace std::string_view_literals;
  if (head.empty()) return "it is empty";
  if (has_at(head, 0,
             "\x7f"
             "ELF")) {
    return "it is an ELF file, vmlinux perhaps";
  }
  if (has_at(head, 0, "070701")) return "it is a cpio archive, an initramfs perhaps";
  if (has_at(head, 0, "\x1f\x8b") ||
      has_at(head, 0,
             "\xfd"
             "7zXZ") ||
      has_at(head, 0, "\x28\xb5\x2f\xfd")) {
    return "it is compressed data, an initramfs perhaps";
  }
  if (has_at(head, 0, "MZ")) return "it is a UEFI or DOS program without a Linux boot header";
  return "it has no Linux boot header (\"HdrS\" at 0x202)";
}

Result<KernelHeader> parse_x86(ConstBytes head) {
  ByteReader in(head.subspan(kMagicAt + 4));
  KernelHeader kernel;
  kernel.protocol = TRY(in.le16());
  if (kernel.protocol < 0x020c) {
    return Error(concat("its boot protocol ", kernel.protocol >> 8, ".", kernel.protocol & 255,
                        " is older than 2.12 (Linux 3.8); use a newer kernel"));
  }
  TRY(in.skip(6));  // realmode_swtch, start_sys_seg
  size_t version_at = size_t{TRY(in.le16())} + 0x200;
  ByteReader flags(head.subspan(kXloadFlagsAt));
  bool is_64_bit = (TRY(flags.le16()) & kXloadKernel64) != 0;
  kernel.command_line_size = TRY(ByteReader(head.subspan(kCommandLineSizeAt)).le32());
  kernel.memory_size = TRY(ByteReader(head.subspan(kInitSizeAt)).le32());
  kernel.architecture = is_64_bit ? KernelArchitecture::X86_64 : KernelArchitecture::X86_32;
  if (version_at == 0x200 || version_at >= head.size()) {
    return Error("its header does not say which release it is");
  }
  std::string_view version = as_text(head.subspan(version_at));
  version = version.substr(0, std::min(version.find('\0'), kMaxVersion));
  // "6.1.0-56-amd64 (builder@host) #1 SMP ...": the release is the first word.
  kernel.release = std::string(version.substr(0, version.find(' ')));
  if (kernel.release.empty() || printable(kernel.release, kMaxVersion) != kernel.release ||
      kernel.release.find('/') != std::string::npos) {
    return Error("its header does not say which release it is");
  }
  return kernel;
}

}  // namespace

Result<KernelHeader> parse_kernel_image(ConstBytes head) {
  if (has_at(head, kMagicAt, "HdrS") && head.size() >= kInitSizeAt + 4) {
    uint16_t flag = TRY(ByteReader(head.subspan(kBootFlagAt)).le16());
    if (flag != kBootFlag)
      return Error(concat("not a Linux kernel: the boot sector's mark is missing", kAdvice));
    return parse_x86(head).with_context("a Linux kernel, but");
  }
  if (has_at(head, kArm64MagicAt, "ARM\x64")) {
    KernelHeader kernel;
    kernel.architecture = KernelArchitecture::Arm64;
    return kernel;
  }
  return Error(concat("not a Linux kernel: ", what_it_looks_like(head), kAdvice));
}

}  // namespace curlingiron
