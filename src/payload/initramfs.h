// An initramfs from parts: /init, the modules with their index, CA bundle, config. Reproducible to
// the byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "payload/closure.h"
#include "sys/fd.h"

namespace curlingiron {

enum class Compression { Xz, Zstd, Gzip, None };
enum class Effort { Best, Fast };
enum class Signatures { Strip, Keep };

struct KernelImage {
  std::string path;
  std::string release;  // "6.1.0-56-amd64", from the image's own header
};
// x86 boot protocol (Documentation/arch/x86/boot.rst): "HdrS" magic, version string. Wrong
// architecture or not a kernel: an error that says what the file is.
Result<KernelImage> read_kernel_image(const UniqueFd& root, const std::string& path);

// Which compressors the kernel can unpack, from config-RELEASE (CONFIG_RD_*); nullopt when no
// config is found.
Result<std::optional<std::vector<Compression>>> kernel_decompressors(const UniqueFd& root,
                                                                     const std::string& release);

struct InitramfsPlan {
  ByteVector init;                            // /init: an ELF program
  std::string release;                        // kernel release the modules are for
  std::vector<std::string> modaliases;        // of the hardware: the roots of the closure
  std::vector<std::string> modules;           // named by the user: an error when missing
  std::vector<std::string> optional_modules;  // a warning when missing
  std::string config;                         // text of /curlingiron/config
  ByteVector ca_bundle;                       // PEM; empty: none
  Compression compression = Compression::Xz;
  Effort effort = Effort::Best;
  Signatures signatures = Signatures::Strip;
};

struct InitramfsPart {
  std::string path;
  uint64_t size = 0;  // uncompressed
};

struct Initramfs {
  ByteVector bytes;  // what the kernel is given
  uint64_t unpacked_size = 0;
  std::vector<InitramfsPart> parts;   // in archive order
  std::vector<std::string> modules;   // names, in archive order
  std::vector<std::string> warnings;  // firmware or optional modules that were not found
};

// `modules_root` holds lib/modules/RELEASE (and lib/firmware).
Result<Initramfs> build_initramfs(const UniqueFd& modules_root, const InitramfsPlan& plan);

// All modaliases of the devices present, below sys/ of `root`: sorted, unique.
Result<std::vector<std::string>> hardware_modaliases(const UniqueFd& root);

}  // namespace curlingiron
