// An initramfs from parts: /init, the modules with their index, CA bundle, config. Reproducible to
// the byte. Layout: docs in initramfs.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/module_index.h"
#include "payload/closure.h"
#include "payload/compress.h"
#include "payload/driver_rules.h"
#include "payload/extras.h"
#include "payload/hardware.h"
#include "payload/kernel.h"
#include "sys/fd.h"

namespace curlingiron {

// Strip falls back to Keep where the kernel's configuration enforces signatures
// (CONFIG_MODULE_SIG_FORCE). That the running kernel enforces them (lockdown, module.sig_enforce)
// is the caller's to know.
enum class Signatures { Strip, Keep };

// A module for a kind of link; loaded when the link is made.
struct LinkModule {
  std::string module;  // "bonding"
  std::string reason;  // "bond of the network"
};

// A file system of the image that /init mounts.
struct FileSystemWish {
  // Names of modules, "xfs". More than one: it is not known which it is.
  std::vector<std::string> any_of;
  std::string reason;  // "--put into partition 2"
};

// What /init reads besides its modules.
struct InitramfsSettings {
  std::string config;             // text of /curlingiron/config
  std::string network;            // text of /curlingiron/network; empty: none
  ByteVector ca_bundle;           // compact PEM (ca_bundle.h); empty: none
  ByteVector client_certificate;  // PEM with its key; empty: none
  ByteVector seed;                // a file system for the new system; empty: none
  ByteVector put;                 // files for its file systems (formats/put_order.h); empty: none
};

struct InitramfsPlan {
  ByteVector init;                      // /init: an ELF program
  std::string release;                  // kernel release the modules are for
  std::vector<std::string> modaliases;  // of the hardware: the roots of the closure
  std::vector<Profile> profiles;        // drivers for other machines, too
  std::vector<std::string> modules;     // named by the user: an error when missing
  std::vector<std::string> omit;        // modules to leave out; needed by others: an error
  std::vector<std::string> firmware;    // named by the user, may be globs: likewise
  std::vector<ExtraEntry> extras;       // of --add
  InitramfsSettings settings;
  std::vector<LinkModule> links;             // that the network is made of: an error when missing
  std::vector<FileSystemWish> file_systems;  // likewise, where the kernel has none of a wish
  bool for_uefi = false;                     // with what changes the firmware's boot entries
  Compression compression = Compression::Xz;
  Effort effort = Effort::Best;
  Signatures signatures = Signatures::Strip;
  // The index says what is built into the kernel: for who starts both on another machine.
  bool says_builtin = false;
};

struct InitramfsPart {
  std::string path;
  uint64_t size = 0;  // uncompressed
};

// One of the concatenated archives.
struct InitramfsSegment {
  std::string name;  // "modules and settings", "/init"
  uint64_t unpacked_size = 0;
  uint64_t packed_size = 0;
};

struct Initramfs {
  ByteVector bytes;  // what the kernel is given
  uint64_t unpacked_size = 0;
  std::vector<InitramfsSegment> segments;
  std::vector<InitramfsPart> parts;   // in archive order
  ModuleIndex index;                  // what /init will know
  std::vector<std::string> modules;   // names, in archive order
  std::vector<std::string> warnings;  // firmware or optional modules that were not found
};

// `modules_root` holds lib/modules/RELEASE (and lib/firmware, and boot/config-RELEASE). Refused,
// because the kernel would only panic or the machine stay deaf: an /init that is no program for
// this machine, modules of another release, a compression that the kernel's configuration lacks, a
// named module or firmware file that is not there, an omitted one that another needs.
Result<Initramfs> build_initramfs(const UniqueFd& modules_root, const InitramfsPlan& plan);

// `initramfs` with an archive after it, whose settings the kernel puts in the place of its own.
Result<ByteVector> replace_settings(ConstBytes initramfs, const InitramfsSettings& settings);

// For people: sizes by kind of part, unpacked, and of the archives, packed. Several lines.
std::string summarize(const Initramfs& initramfs);

}  // namespace curlingiron
