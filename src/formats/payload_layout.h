// Where curlingiron's own files are inside its initramfs, and how large each may be: what
// src/payload writes, src/init reads and src/host explains. Paths are relative to the root of the
// initramfs.
//   /dev /dev/console /etc /proc /run /sys /tmp   what /init mounts over, and the first console
//   /curlingiron/...                              the files below
//   /lib/modules/NAME.ko                          plain, flat
//   /lib/firmware/...                             as the kernel looks for it
//   /init
#pragma once

#include <cstddef>
#include <string_view>

#include "base/units.h"

namespace curlingiron {

inline constexpr std::string_view kInitPath = "init";
inline constexpr std::string_view kOwnFolder = "curlingiron";
inline constexpr std::string_view kModuleFolder = "lib/modules";
inline constexpr std::string_view kFirmwareFolder = "lib/firmware";

struct PayloadFile {
  const char* path;  // a literal
  size_t largest;    // bytes; more is refused when it is built, and when it is read
  unsigned mode;     // what may hold a password is root's alone
};

// Settings (formats/settings.h), a KEY=VALUE each.
inline constexpr PayloadFile kConfigFile{"curlingiron/config", 64_KiB, 0600};
// The network (formats/network_config.h).
inline constexpr PayloadFile kNetworkFile{"curlingiron/network", 4_MiB, 0644};
// The index of the modules (formats/module_index.h).
inline constexpr PayloadFile kModuleIndexFile{"curlingiron/modules", 4_MiB, 0644};
// Trusted certificates in PEM.
inline constexpr PayloadFile kCaBundleFile{"curlingiron/ca.pem", 16_MiB, 0644};
// The client's certificate and its key in PEM.
inline constexpr PayloadFile kClientCertificateFile{"curlingiron/client.pem", 64_KiB, 0600};
// What is handed to the new system (host/seed.h): a file system.
inline constexpr PayloadFile kSeedFile{"curlingiron/seed", 16_MiB, 0600};
// Files for its file systems (formats/put_order.h).
inline constexpr PayloadFile kPutFile{"curlingiron/put", 65_MiB, 0600};

}  // namespace curlingiron
