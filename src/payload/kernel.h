// The kernel that the initramfs is for: its image and its configuration.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/kernel_config.h"
#include "payload/compress.h"
#include "sys/fd.h"

namespace curlingiron {

struct KernelImage {
  std::string path;
  std::string release;       // "6.1.0-56-amd64", from the image's own header
  uint32_t memory_size = 0;  // bytes that it needs in a row while it starts
};
// x86 boot protocol (Documentation/arch/x86/boot.rst): "HdrS" magic, version string. Wrong
// architecture or not a kernel: an error that says what the file is.
Result<KernelImage> read_kernel_image(const UniqueFd& root, const std::string& path);

// boot/config-RELEASE, lib/modules/RELEASE/config, usr/lib/modules/RELEASE/config, or
// proc/config.gz where proc/sys/kernel/osrelease is RELEASE; nullopt: none of them is there.
Result<std::optional<KernelConfig>> find_kernel_config(const UniqueFd& root,
                                                       const std::string& release);

// Which compressors the kernel can unpack (CONFIG_RD_*); nullopt when no config is found.
Result<std::optional<std::vector<Compression>>> kernel_decompressors(const UniqueFd& root,
                                                                     const std::string& release);

}  // namespace curlingiron
