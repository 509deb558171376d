#include "forms/uki.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "formats/pe.h"

namespace curlingiron {
namespace {

// As systemd-stub looks for them.
constexpr std::string_view kOsRelease = ".osrel";
constexpr std::string_view kCommandLine = ".cmdline";
constexpr std::string_view kRelease = ".uname";
constexpr std::string_view kInitramfs = ".initrd";
constexpr std::string_view kKernel = ".linux";

const PeSection* find(const PeProgram& program, std::string_view name) {
  auto found = std::ranges::find(program.sections, name, &PeSection::name);
  return found == program.sections.end() ? nullptr : &*found;
}

ByteVector copy_of(const PeSection* section) {
  return section == nullptr ? ByteVector()
                            : ByteVector(section->bytes.begin(), section->bytes.end());
}

// Some builders end a text with a NUL or a newline.
std::string text_of(const PeSection* section) {
  if (section == nullptr) return {};
  std::string_view text = as_text(section->bytes);
  return std::string(trim(text.substr(0, std::min(text.find('\0'), text.size()))));
}

}  // namespace

Result<ByteVector> make_uki(const Bootable& payload, ConstBytes stub) {
  std::string os_release =
      concat("ID=curlingiron\nNAME=curlingiron\nPRETTY_NAME=\"curlingiron (Linux ", payload.release,
             ")\"\nVERSION_ID=", payload.release, "\n");
  auto section = [](std::string_view name, ConstBytes bytes) {
    return PeSection{std::string(name), bytes};
  };
  std::vector<PeSection> sections = {section(kOsRelease, as_bytes(os_release))};
  // The stub hands on what the firmware was told where there is no such section.
  if (!payload.command_line.empty()) {
    sections.push_back(section(kCommandLine, as_bytes(payload.command_line)));
  }
  sections.push_back(section(kRelease, as_bytes(payload.release)));
  sections.push_back(section(kInitramfs, payload.initramfs));
  sections.push_back(section(kKernel, payload.kernel));
  return add_pe_sections(stub, sections);
}

Result<Bootable> read_uki(ConstBytes uki) {
  PeProgram program = TRY(parse_pe(uki));
  const PeSection* kernel = find(program, kKernel);
  const PeSection* initramfs = find(program, kInitramfs);
  if (kernel == nullptr || initramfs == nullptr) {
    return Error(
        "a UEFI program, but no unified kernel image: it has no section .linux or .initrd");
  }
  return Bootable{text_of(find(program, kRelease)), copy_of(kernel), copy_of(initramfs),
                  text_of(find(program, kCommandLine))};
}

bool looks_like_uki(ConstBytes file) {
  Result<PeProgram> program = parse_pe(file);
  return program.ok() && find(program.value(), kKernel) != nullptr;
}

}  // namespace curlingiron
