// What a machine's firmware, or the hypervisor in its place, says of it in the table of SMBIOS
// (DMTF DSP0134), as /sys/firmware/dmi/tables/DMI has it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

inline constexpr size_t kMostSmbios = size_t{1} << 20;  // bytes of a table

// The OEM strings (structures of type 11), in their order. What follows a damaged structure is not
// read. At most 256 of 4,096 bytes.
std::vector<std::string> parse_oem_strings(ConstBytes table);

// A setting that one of them gives, "src=https://...": as "curlingiron.src=..." or as a credential
// of systemd's ("io.systemd.credential:curlingiron.src=...", and ".binary:" with its value in
// base64; systemd.exec(5)). Empty: it is for somebody else. An error: base64 that is none.
Result<std::string> setting_of_oem_string(std::string_view text);

}  // namespace curlingiron
