#include "host/run.h"

#include <fcntl.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "forms/tree.h"
#include "forms/uki.h"
#include "host/machine.h"
#include "host/qemu.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

constexpr uint64_t kScratchSize = 4_GiB;

enum class PayloadKind { Initramfs, Tree, Uki, Disk, Iso, Netboot };

// The first 64 KiB say what a file is.
Result<PayloadKind> kind_of(const std::string& path) {
  UniqueFd here = TRY(open_root("."));
  Result<FileStatus> status = file_status(here, path);
  if (!status.ok()) {
    return Error(concat(path, ": no such file; make one with curlingiron build"));
  }
  if (status.value().type == FileType::Directory) {
    UniqueFd folder = TRY(open_root(path));
    if (exists(folder, "boot.ipxe")) return PayloadKind::Netboot;
    if (exists(folder, std::string(kTreeKernel))) return PayloadKind::Tree;
    return Error(concat(path, ": holds neither vmlinuz nor boot.ipxe; name a directory of build"));
  }
  constexpr std::string_view kIsoMark = "CD001";  // ECMA-119, 8.4.2
  constexpr size_t kIsoMarkAt = 32769;
  UniqueFd file = TRY(open_path(path, O_RDONLY));
  ByteVector head(std::min<uint64_t>(status.value().size, 64_KiB));
  TRY_CONTEXT(path, pread_exact(file, head, 0));
  if (has(head, kIsoMarkAt, kIsoMark)) return PayloadKind::Iso;
  if (has(head, 512, std::string_view("EFI PART"))) return PayloadKind::Disk;
  // A kernel alone is a UEFI program, too.
  constexpr size_t kLargestUki = 1_GiB;
  if (has(head, 0, std::string_view("MZ"))) {
    ByteVector whole = TRY(read_file(here, path, kLargestUki));
    if (looks_like_uki(whole)) return PayloadKind::Uki;
    return Error(concat(path, ": a UEFI program, but none of build's (--format uki)"));
  }
  if (has(head, 0, std::string_view("#!"))) {
    return Error(concat(path, ": a script, which starts in a running Linux: sudo sh ", path,
                        "; run takes what a machine boots from"));
  }
  if (head.empty() || has(head, 0, std::string_view("\0", 1))) {
    return Error(concat(path, ": nothing that build made"));
  }
  return PayloadKind::Initramfs;
}

std::string absolute(const std::string& path) {
  Result<std::string> real = real_path(path);
  return real.ok() ? std::move(real).value() : path;
}

Result<std::string> command_line_of_tree(const std::string& path) {
  UniqueFd folder = TRY(open_root(path));
  std::string text = TRY(read_text(folder, std::string(kTreeCommandLine)));
  return std::string(trim(text));
}

// The payload as the machine finds it.
Result<void> add_payload(const RunOptions& options, Machine& machine) {
  PayloadKind kind = TRY(kind_of(options.payload));
  std::string console = concat("console=ttyS0", options.append.empty() ? "" : " ", options.append);
  bool takes_words = kind == PayloadKind::Initramfs || kind == PayloadKind::Tree;
  if (!options.append.empty() && !takes_words) {
    return Error("--append: this payload has its own command line; give it to build");
  }
  if (!options.kernel.empty() && kind != PayloadKind::Initramfs) {
    return Error("--kernel: this payload has a kernel of its own; leave it out");
  }
  switch (kind) {
    case PayloadKind::Initramfs: {
      UniqueFd root = TRY(open_root("/"));
      KernelImage kernel = TRY(wanted_kernel_image(root, options.kernel));
      machine.direct.push_back({concat("/", kernel.path), options.payload, console});
      break;
    }
    case PayloadKind::Tree:
      machine.direct.push_back({concat(options.payload, "/", kTreeKernel),
                                concat(options.payload, "/", kTreeInitramfs),
                                concat(TRY(command_line_of_tree(options.payload)), " ", console)});
      break;
    case PayloadKind::Uki:
      if (machine.firmware == Firmware::Bios) machine.firmware = Firmware::Uefi;
      machine.direct.push_back({options.payload, "", ""});
      break;
    case PayloadKind::Disk:
      machine.disks.push_back({options.payload, DiskModel::Usb, true, true});
      break;
    case PayloadKind::Iso: machine.cdrom = options.payload; break;
    case PayloadKind::Netboot:
      machine.tftp = absolute(options.payload);
      machine.bootfile = machine.firmware == Firmware::Bios ? "boot.ipxe" : "curlingiron.efi";
      if (!exists(TRY(open_root(options.payload)), machine.bootfile)) {
        return Error(concat(options.payload, ": holds no ", machine.bootfile,
                            ", which this firmware starts; build it where systemd's stub is "
                            "(package systemd-boot-efi), or leave --firmware out"));
      }
      break;
  }
  return {};
}

Result<int> run_in_qemu(const RunOptions& options) {
  Machine machine;
  machine.firmware = TRY(parse_firmware(options.firmware));
  machine.variables = options.variables;
  machine.memory = options.memory;
  machine.nic = options.nic;
  machine.keep = options.keep;
  if (!options.serve.empty()) {
    machine.served = TRY_CONTEXT("--serve", real_path(options.serve));
    // busybox's httpd starts what lies there, for whoever asks.
    UniqueFd served = TRY_CONTEXT("--serve", open_root(machine.served));
    if (exists(served, "cgi-bin")) {
      return Error(concat("--serve: ", options.serve,
                          " holds cgi-bin, whose programs the machine could start here; name a "
                          "directory without it"));
    }
    log_info(concat(options.serve, " is http://", kServedAddress, "/ there"));
  }
  machine.others = options.qemu;
  TRY(add_payload(options, machine));

  TemporaryDirectory scratch = TRY(TemporaryDirectory::create());
  for (const std::string& text : options.disks) {
    machine.disks.push_back(TRY(parse_machine_disk(text)));
  }
  if (options.disks.empty()) {
    std::string path = concat(scratch.path(), "/scratch.img");
    UniqueFd file = TRY_CONTEXT(path, open_path(path, O_RDWR | O_CREAT, 0600));
    TRY_CONTEXT(path, resize_file(file, kScratchSize));
    machine.disks.push_back({path});
  }
  std::vector<std::string> argv = TRY(qemu_command(machine, scratch));
  log_info(format_command(argv));
  return run_passing_signals(argv);
}

}  // namespace

int run(const RunOptions& options) {
  Result<int> result = run_in_qemu(options);
  if (result.ok()) return result.value() == 0 ? kExitDone : kExitFailed;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace curlingiron
