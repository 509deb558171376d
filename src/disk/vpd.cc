#include "disk/vpd.h"

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr uint8_t kSerialPage = 0x80;
constexpr uint8_t kIdentificationPage = 0x83;

std::string text_of(ConstBytes bytes) {
  std::string_view text = as_text(bytes);
  return printable(trim(text.substr(0, text.find('\0'))), text.size());
}

// The page's content without its header (7.7.2: qualifier, page code, length).
Result<ConstBytes> content(ConstBytes page, uint8_t code) {
  ByteReader in(page);
  TRY(in.skip(1));
  if (TRY(in.u8()) != code) return Error("not the VPD page that was asked for");
  uint16_t length = TRY(in.be16());
  return in.take(length);
}

Designator::Kind kind_of(uint8_t type) {
  switch (type & 0x0f) {
    case 0: return Designator::Kind::VendorSpecific;
    case 1: return Designator::Kind::T10;
    case 2: return Designator::Kind::Eui64;
    case 3: return Designator::Kind::Naa;
    default: return Designator::Kind::Other;
  }
}

}  // namespace

Result<std::string> parse_unit_serial(ConstBytes page) {
  return text_of(TRY(content(page, kSerialPage)));
}

Result<std::vector<Designator>> parse_device_identification(ConstBytes page) {
  ConstBytes descriptors = TRY(content(page, kIdentificationPage));
  ByteReader in(descriptors);
  std::vector<Designator> designators;
  while (!in.at_end()) {
    uint8_t code_set = TRY(in.u8()) & 0x0f;
    uint8_t type = TRY(in.u8());
    TRY(in.skip(1));
    uint8_t length = TRY(in.u8());
    ConstBytes value = TRY(in.take(length));
    bool of_logical_unit = (type >> 4 & 3) == 0;  // association
    if (!of_logical_unit) continue;
    designators.push_back(
        {kind_of(type), code_set == 2 || code_set == 3, ByteVector(value.begin(), value.end())});
  }
  return designators;
}

Result<AtaNames> parse_ata_names(ConstBytes t10_designator) {
  ByteReader in(t10_designator);
  if (as_text(TRY(in.take(8))) != "ATA     ") return Error("not a designator of libata");
  AtaNames names;
  names.model = text_of(TRY(in.take(40)));
  names.serial = text_of(TRY(in.take(20)));
  return names;
}

}  // namespace curlingiron
