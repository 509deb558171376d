#include "host/qemu.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

struct NamedModel {
  std::string_view name;
  DiskModel model;
};
constexpr NamedModel kModels[] = {{"virtio", DiskModel::VirtioBlk},
                                  {"scsi", DiskModel::VirtioScsi},
                                  {"sata", DiskModel::Sata},
                                  {"nvme", DiskModel::Nvme},
                                  {"usb", DiskModel::Usb}};

// "DISK,serial=…" would be parsed by QEMU as options: a comma in a file name is doubled.
std::string escape_commas(const std::string& text) {
  std::string escaped;
  for (char c : text) escaped += c == ',' ? ",," : std::string(1, c);
  return escaped;
}

// qcow2 by its magic; everything else is taken as it is.
Result<std::string> disk_format(const std::string& path) {
  UniqueFd fd = TRY_CONTEXT(path, open_path(path, O_RDONLY));
  std::array<uint8_t, 4> magic{};
  size_t n = TRY_CONTEXT(path, read_some(fd, magic));
  static constexpr std::array<uint8_t, 4> kQcow2 = {'Q', 'F', 'I', 0xfb};
  return std::string(n == magic.size() && magic == kQcow2 ? "qcow2" : "raw");
}

// A guest of three instructions, with which QEMU itself ends: opening /dev/kvm is no proof, nor
// that the kernel runs a guest. Nested or filtered machines offer it and then hang, or QEMU aborts.
bool qemu_runs_with_kvm(const TemporaryDirectory& scratch) {
  constexpr size_t kBiosSize = 64_KiB;
  constexpr size_t kResetVector = 16;  // from the end
  // mov al, 0x10; mov dx, 0x501; out dx, al; hlt
  constexpr std::array<uint8_t, 7> kProgram = {0xb0, 0x10, 0xba, 0x01, 0x05, 0xee, 0xf4};
  constexpr int kStatus = 0x10 << 1 | 1;  // QEMU, hw/misc/debugexit.c
  constexpr Duration kPatience = 10s;
  ByteVector bios(kBiosSize, 0xf4);
  std::copy(kProgram.begin(), kProgram.end(), bios.end() - kResetVector);
  std::string path = concat(scratch.path(), "/probe.bin");
  Result<UniqueFd> file = open_path(path, O_WRONLY | O_CREAT, 0600);
  if (!file.ok() || !write_all(file.value(), bios).ok()) return false;
  return run_quietly({kQemu, "-machine", "q35,accel=kvm", "-cpu", "host", "-nodefaults", "-display",
                      "none", "-no-reboot", "-device", "isa-debug-exit", "-bios", path},
                     kPatience) == kStatus;
}

// Where distributions put UEFI for QEMU, with variables that fit.
struct FirmwareFiles {
  const char* code;
  const char* variables;
};
constexpr FirmwareFiles kUefi[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
};
constexpr FirmwareFiles kSecureBoot[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"},
};

Result<FirmwareFiles> find_firmware(Firmware firmware) {
  UniqueFd root = TRY(open_root("/"));
  std::span<const FirmwareFiles> places = firmware == Firmware::SecureBoot
                                              ? std::span<const FirmwareFiles>(kSecureBoot)
                                              : std::span<const FirmwareFiles>(kUefi);
  for (const FirmwareFiles& files : places) {
    if (exists(root, files.code + 1)) return files;
  }
  return Error(concat(places.front().code, " is not there; install the package ovmf (edk2-ovmf)"));
}

// Variables are written by the firmware: the machine has a copy.
Result<std::string> copy_variables(const std::string& file, const TemporaryDirectory& scratch) {
  constexpr size_t kLargest = 64_MiB;
  UniqueFd root = TRY(open_root("/"));
  ByteVector bytes = TRY(read_file(root, TRY(real_path(file)).substr(1), kLargest));
  std::string copy = concat(scratch.path(), "/variables.fd");
  UniqueFd out = TRY_CONTEXT(copy, open_path(copy, O_WRONLY | O_CREAT, 0600));
  TRY_CONTEXT(copy, write_all(out, bytes));
  return copy;
}

class CommandMaker {
 public:
  CommandMaker(const Machine& machine, const TemporaryDirectory& scratch)
      : machine_(machine), scratch_(scratch) {}

  Result<std::vector<std::string>> make() && {
    add_processor();
    TRY(add_firmware());
    for (const DirectBoot& boot : machine_.direct) add_direct(boot);
    for (const MachineDisk& disk : machine_.disks) TRY(add_disk(disk));
    if (!machine_.cdrom.empty()) {
      add({"-drive",
           concat("file=", escape_commas(machine_.cdrom),
                  ",format=raw,if=none,id=cd,media=cdrom,readonly=on"),
           "-device", "ide-cd,drive=cd,bootindex=0"});
    }
    TRY(add_network());
    add({"-device", "virtio-rng-pci", "-nographic", "-no-reboot"});
    argv_.insert(argv_.end(), machine_.others.begin(), machine_.others.end());
    return std::move(argv_);
  }

 private:
  void add(const std::vector<std::string>& words) {
    argv_.insert(argv_.end(), words.begin(), words.end());
  }

  void add_processor() {
    // QEMU takes one accelerator, and who names one knows why.
    bool own = std::ranges::any_of(machine_.others, [](const std::string& word) {
      return word == "-accel" || word == "--accel" || word == "-enable-kvm" ||
             word.find("accel=") != std::string::npos;
    });
    Result<UniqueFd> root = open_root("/");
    bool kvm = !own && root.ok() && exists(root.value(), "dev/kvm") && qemu_runs_with_kvm(scratch_);
    std::string type = machine_.firmware == Firmware::SecureBoot ? "q35,smm=on" : "q35";
    if (!own) type += kvm ? ",accel=kvm" : ",accel=tcg";
    add({kQemu, "-machine", type, "-cpu", kvm ? "host" : "max", "-m", machine_.memory, "-smp",
         "2"});
    log_info(concat("QEMU with ",
                    own   ? "the accelerator that was given"
                    : kvm ? "KVM"
                          : "TCG, which is slow (KVM runs no guest here)",
                    "; Ctrl-A X ends it"));
  }

  Result<void> add_firmware() {
    if (machine_.firmware == Firmware::Bios) return {};
    FirmwareFiles files = TRY(find_firmware(machine_.firmware));
    std::string variables = machine_.variables.empty() ? files.variables : machine_.variables;
    std::string copy = TRY(copy_variables(variables, scratch_));
    if (machine_.firmware == Firmware::SecureBoot) {
      add({"-global", "driver=cfi.pflash01,property=secure,value=on"});
    }
    add({"-drive", concat("if=pflash,unit=0,format=raw,readonly=on,file=", files.code), "-drive",
         concat("if=pflash,unit=1,format=raw,file=", escape_commas(copy))});
    return {};
  }

  void add_direct(const DirectBoot& boot) {
    add({"-kernel", boot.kernel});
    if (!boot.initramfs.empty()) add({"-initrd", boot.initramfs});
    if (!boot.command_line.empty()) add({"-append", boot.command_line});
  }

  Result<void> add_disk(const MachineDisk& disk) {
    std::string id = concat("disk", count_++);
    std::string format = TRY(disk_format(disk.file));
    std::string drive =
        concat("file=", escape_commas(disk.file), ",format=", format, ",if=none,id=", id);
    drive += disk.is_medium || !machine_.keep ? ",snapshot=on" : ",cache=none";
    std::string device;
    switch (disk.model) {
      case DiskModel::VirtioBlk: device = "virtio-blk-pci"; break;
      case DiskModel::VirtioScsi:
        device = "scsi-hd";
        once("-device", "virtio-scsi-pci,id=scsi", has_scsi_);
        break;
      case DiskModel::Sata: device = "ide-hd"; break;
      case DiskModel::Nvme: device = "nvme"; break;
      case DiskModel::Usb:
        device = "usb-storage";
        once("-device", "qemu-xhci", has_usb_);
        break;
    }
    device += concat(",drive=", id, ",serial=", id);
    if (disk.starts) device += ",bootindex=0";
    add({"-drive", drive, "-device", device});
    return {};
  }

  void once(const std::string& option, const std::string& value, bool& done) {
    if (!done) add({option, value});
    done = true;
  }

  Result<void> add_network() {
    std::string nic = concat("user,model=", machine_.nic);
    if (!machine_.tftp.empty()) {
      nic += concat(",tftp=", escape_commas(machine_.tftp), ",bootfile=", machine_.bootfile);
    }
    if (!machine_.served.empty()) {
      if (!program_exists("busybox")) {
        return Error("--serve: busybox is not installed; install the package busybox");
      }
      // A server for each connection, started by QEMU: no port of this machine is open, and
      // nothing is left when it ends.
      std::string command = concat("busybox httpd -i -h ", format_command({machine_.served}));
      nic += concat(",guestfwd=tcp:", kServedAddress, ":80-cmd:", escape_commas(command));
    }
    add({"-nic", nic});
    return {};
  }

  const Machine& machine_;
  const TemporaryDirectory& scratch_;
  std::vector<std::string> argv_;
  size_t count_ = 0;
  bool has_scsi_ = false;
  bool has_usb_ = false;
};

}  // namespace

Result<std::vector<std::string>> qemu_command(const Machine& machine,
                                              const TemporaryDirectory& scratch) {
  if (!program_exists(kQemu)) {
    return Error(concat(kQemu, " is not installed; install the package qemu-system-x86"));
  }
  return CommandMaker(machine, scratch).make();
}

Result<MachineDisk> parse_machine_disk(const std::string& text) {
  MachineDisk disk{text};
  size_t colon = text.rfind(':');
  if (colon == std::string::npos) return disk;
  auto model =
      std::ranges::find(kModels, std::string_view(text).substr(colon + 1), &NamedModel::name);
  if (model == std::end(kModels)) return disk;
  disk.file = text.substr(0, colon);
  disk.model = model->model;
  return disk;
}

Result<Firmware> parse_firmware(const std::string& name) {
  if (name == "bios") return Firmware::Bios;
  if (name == "uefi") return Firmware::Uefi;
  if (name == "secure-boot") return Firmware::SecureBoot;
  return Error(concat("\"", printable(name, 40), "\" is none of bios, uefi, secure-boot"));
}

std::string format_command(const std::vector<std::string>& argv) {
  constexpr std::string_view kPlain = "-_./,=:+@%";
  std::string text;
  for (const std::string& word : argv) {
    bool plain = !word.empty() && std::ranges::all_of(word, [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
             kPlain.find(c) != std::string_view::npos;
    });
    text += concat(text.empty() ? "" : " ", plain ? word : quote_for_shell(word));
  }
  return text;
}

}  // namespace curlingiron
