// A virtual machine in QEMU (qemu-system(1)), described, and as the command that runs it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/file.h"

namespace curlingiron {

enum class Firmware { Bios, Uefi, SecureBoot };
enum class DiskModel { VirtioBlk, VirtioScsi, Sata, Nvme, Usb };

struct MachineDisk {
  std::string file;
  DiskModel model = DiskModel::VirtioBlk;
  bool starts = false;     // firmware looks here first
  bool is_medium = false;  // it is what the machine is started from, and cannot be written
};

struct DirectBoot {
  std::string kernel;
  std::string initramfs;  // empty: none
  std::string command_line;
};

// An address of the machine's network at which nobody else is: below QEMU's own (10.0.2.2 and on).
inline constexpr const char* kServedAddress = "10.0.2.100";

struct Machine {
  Firmware firmware = Firmware::Bios;
  std::string variables;           // file of UEFI's variables; empty: the distribution's
  std::vector<DirectBoot> direct;  // one at most
  std::vector<MachineDisk> disks;
  std::string cdrom;     // empty: none
  std::string tftp;      // directory; empty: none
  std::string bootfile;  // in it
  std::string served;    // directory for http://kServedAddress/, absolute; empty: none
  std::string nic = "virtio-net-pci";
  std::string memory = "512M";
  bool keep = false;                // what is written to disks stays
  std::vector<std::string> others;  // of the user, as they are
};

// Errors: QEMU or a file of its firmware is not installed. `scratch` must outlive the machine.
Result<std::vector<std::string>> qemu_command(const Machine& machine,
                                              const TemporaryDirectory& scratch);
// Of --disk FILE[:MODEL]; FILE may hold colons.
Result<MachineDisk> parse_machine_disk(const std::string& text);
Result<Firmware> parse_firmware(const std::string& name);
// As a shell takes it.
std::string format_command(const std::vector<std::string>& argv);

}  // namespace curlingiron
