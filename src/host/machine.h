// The machine that the command runs on: what of it goes into an initramfs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/settings.h"
#include "payload/initramfs.h"
#include "sys/fd.h"

namespace curlingiron {

// The /init that was linked into this program.
ConstBytes embedded_init();
// The program of src/unpack, likewise.
ConstBytes embedded_unpacker();

// The image of the running kernel: /boot/vmlinuz-RELEASE and the other places distributions use;
// its own version string must say RELEASE. The error lists where it was looked for.
Result<KernelImage> running_kernel_image(const UniqueFd& root, const std::string& release);
// Where a kernel of ours is (scripts/kernel), by its name: a root with boot/vmlinuz-RELEASE and
// lib/modules/RELEASE. Looked for beside this program, in the tree that it was built in, and in
// /usr/lib/curlingiron.
struct OwnKernel {
  std::string root;  // absolute
  std::string release;
};
inline constexpr std::string_view kOwnKernel = "ours:";
Result<OwnKernel> find_own_kernel(std::string_view name);

// `path` when given, else running_kernel_image().
Result<KernelImage> wanted_kernel_image(const UniqueFd& root, const std::string& path);

// Where this machine keeps its CA bundle; nullopt: at none of the places that distributions use.
std::optional<std::string> system_ca_bundle(const UniqueFd& root);

// What unpacks fastest of those the kernel knows (nullopt: no config found, gzip is always there).
Compression quickest_compression(const std::optional<std::vector<Compression>>& known);

// What --add names on this machine; says so where onfail=shell is set and no shell is among it.
Result<std::vector<ExtraEntry>> collect_added(const UniqueFd& root,
                                              const std::vector<std::string>& specs,
                                              const Settings& settings);

// Modules must keep their signatures: the running kernel refuses others.
Signatures signatures_for(const UniqueFd& root, bool keep);

}  // namespace curlingiron
