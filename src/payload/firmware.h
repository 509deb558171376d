// Firmware files that modules name, as the kernel's loader looks for them
// (Documentation/driver-api/firmware/fw_search_path.rst).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Where firmware is looked for, below the root, the first first.
std::vector<std::string> firmware_folders(const std::string& release);

struct FirmwareFile {
  std::string name;  // below lib/firmware, as the driver asks for it
  ByteVector bytes;  // uncompressed
};

// The files that `pattern` (from a module's firmware= field; may be a glob in its last part) leads
// to below root; none when it is not installed. In lib/firmware and usr/lib/firmware, in
// updates/RELEASE, updates, RELEASE and the top of each; plain, .zst or .xz.
Result<std::vector<FirmwareFile>> find_firmware(const UniqueFd& root, const std::string& release,
                                                std::string_view pattern);

}  // namespace curlingiron
