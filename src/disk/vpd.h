// SCSI vital product data pages, as sysfs hands them out (SPC-5, 7.7). Pure parsers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// Page 0x80: the unit serial number, trimmed; control characters as '?'.
Result<std::string> parse_unit_serial(ConstBytes page);

struct Designator {
  enum class Kind { VendorSpecific, T10, Eui64, Naa, Other };
  Kind kind = Kind::Other;
  bool is_text = false;  // ASCII or UTF-8, else binary
  ByteVector value;
};

// Page 0x83: the designators of the logical unit (those of ports and targets are left out).
Result<std::vector<Designator>> parse_device_identification(ConstBytes page);

// What libata reports of an ATA disk in a T10 designator: "ATA     ", model (40), serial (20).
struct AtaNames {
  std::string model;
  std::string serial;
};
Result<AtaNames> parse_ata_names(ConstBytes t10_designator);

}  // namespace curlingiron
