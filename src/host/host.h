// What the verbs share: the machine that the command runs on.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/settings.h"
#include "host/options.h"
#include "net/image_stream.h"
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
// --cert for an initramfs: empty where none is given.
Result<ByteVector> load_client_certificate(const std::string& file);

// What the options say: the settings, and as lines of /curlingiron/config.
struct CheckedSettings {
  Settings settings;
  std::string config;
};
Result<CheckedSettings> check_settings(const SettingOptions& options);

// The text of --network, which /init will be able to read.
Result<NetworkConfig> load_network(const std::string& file);
// What of the plan depends on the network: the text, and the modules for its links.
void set_network(const NetworkConfig& network, const Settings& settings, InitramfsPlan& plan);

// The server is asked that long before a disk or a machine is put at stake.
inline constexpr Duration kSourcePatience = 10s;
// The image as this machine sees it.
Result<std::unique_ptr<ImageStream>> open_image(const SettingOptions& options,
                                                const Settings& settings, ImageUse use);
// "zstd, 412.0 MiB, TLSv1.3, checked against sha256".
std::string describe_image(const ImageStream& image, const Settings& settings);

// True when the person at the terminal types the disk's name. `path` is what will be overwritten.
Result<bool> confirm_overwrite(const std::string& path);

// What unpacks fastest of those the kernel knows (nullopt: no config found, gzip is always there).
Compression quickest_compression(const std::optional<std::vector<Compression>>& known);

// What --add names on this machine; says so where onfail=shell is set and no shell is among it.
Result<std::vector<ExtraEntry>> collect_added(const UniqueFd& root,
                                              const std::vector<std::string>& specs,
                                              const Settings& settings);

// Modules must keep their signatures: the running kernel refuses others.
Signatures signatures_for(const UniqueFd& root, bool keep);

}  // namespace curlingiron
