// What the verbs share: the machine that the command runs on.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/settings.h"
#include "host/options.h"
#include "payload/initramfs.h"
#include "sys/fd.h"

namespace curlingiron {

// The /init that was linked into this program.
ConstBytes embedded_init();

// The image of the running kernel: /boot/vmlinuz-RELEASE and the other places distributions use;
// its own version string must say RELEASE. The error lists where it was looked for.
Result<KernelImage> running_kernel_image(const UniqueFd& root, const std::string& release);
// `path` when given, else running_kernel_image().
Result<KernelImage> wanted_kernel_image(const UniqueFd& root, const std::string& path);

// The CA bundle of `file`, or of this machine where `file` is empty.
Result<ByteVector> load_ca_bundle(const std::string& file);
// Where this machine keeps its bundle; an error that lists the places tried.
Result<std::string> system_ca_bundle();

// --sha256, --image-sha256 and --set as lines of /curlingiron/config, each checked.
Result<std::string> settings_config(const SettingOptions& options);
// What that config means.
Result<Settings> parse_settings(const std::string& config);

// What unpacks fastest of those the kernel knows (nullopt: no config found, gzip is always there).
Compression quickest_compression(const std::optional<std::vector<Compression>>& known);

// Modules must keep their signatures: the running kernel refuses others.
Signatures signatures_for(const UniqueFd& root, bool keep);

}  // namespace curlingiron
