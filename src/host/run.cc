#include "host/run.h"

#include <fcntl.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "host/machine.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

constexpr uint64_t kScratchSize = 4_GiB;
constexpr const char* kQemu = "qemu-system-x86_64";

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

Result<int> run_in_qemu(const RunOptions& options) {
  UniqueFd root = TRY(open_root("/"));
  UniqueFd here = TRY(open_root("."));
  if (!exists(here, options.payload)) {
    return Error(concat(options.payload, ": no such file; make one with curlingiron build"));
  }
  if (!program_exists(kQemu)) {
    return Error(concat(kQemu, " is not installed; install the package qemu-system-x86"));
  }
  KernelImage kernel = TRY(wanted_kernel_image(root, options.kernel));

  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  std::vector<std::string> disks = options.disks;
  if (disks.empty()) {
    disks.push_back(concat(scratch.path(), "/scratch.img"));
    UniqueFd file = TRY_CONTEXT(disks.front(), open_path(disks.front(), O_RDWR | O_CREAT, 0600));
    TRY_CONTEXT(disks.front(), resize_file(file, kScratchSize));
  }

  // QEMU takes one accelerator, and who names one knows why.
  bool own = std::ranges::any_of(options.qemu, [](const std::string& word) {
    return word == "-accel" || word == "--accel" || word == "-enable-kvm" ||
           word.find("accel=") != std::string::npos;
  });
  bool kvm = !own && exists(root, "dev/kvm") && qemu_runs_with_kvm(scratch);
  std::vector<std::string> argv = {kQemu,
                                   "-machine",
                                   own   ? "q35"
                                   : kvm ? "q35,accel=kvm"
                                         : "q35,accel=tcg",
                                   "-cpu",
                                   kvm ? "host" : "max",
                                   "-m",
                                   options.memory,
                                   "-smp",
                                   "2",
                                   "-nographic",
                                   "-no-reboot",
                                   "-kernel",
                                   concat("/", kernel.path),
                                   "-initrd",
                                   options.payload,
                                   "-append",
                                   concat("console=ttyS0 ", options.append),
                                   "-device",
                                   "virtio-rng-pci",
                                   "-nic",
                                   "user,model=virtio-net-pci"};
  for (size_t i = 0; i < disks.size(); ++i) {
    std::string format = TRY(disk_format(disks[i]));
    argv.insert(argv.end(), {"-drive",
                             concat("file=", escape_commas(disks[i]), ",format=", format,
                                    ",if=none,cache=none,id=disk", i),
                             "-device", concat("virtio-blk-pci,drive=disk", i, ",serial=disk", i)});
  }
  argv.insert(argv.end(), options.qemu.begin(), options.qemu.end());
  log_info(concat("QEMU with ",
                  own   ? "the accelerator that was given"
                  : kvm ? "KVM"
                        : "TCG, which is slow (KVM runs no guest here)",
                  "; Ctrl-A X ends it"));
  return run_program(argv);
}

}  // namespace

int run(const RunOptions& options) {
  Result<int> result = run_in_qemu(options);
  if (result.ok()) return result.value() == 0 ? kExitDone : kExitFailed;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
