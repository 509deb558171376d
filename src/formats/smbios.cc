#include "formats/smbios.h"

#include <algorithm>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr size_t kHeader = 4;  // type, length, handle
constexpr uint8_t kOemStrings = 11;
constexpr uint8_t kEndOfTable = 127;
constexpr size_t kMostStrings = 256;
constexpr size_t kLongest = 4096;
constexpr std::string_view kPrefix = "curlingiron.";

// Where the strings after a structure's fields end: at two zeros.
size_t end_of_strings(ConstBytes table, size_t begin) {
  for (size_t at = begin; at + 1 < table.size(); ++at) {
    if (table[at] == 0 && table[at + 1] == 0) return at + 2;
  }
  return table.size();
}

}  // namespace

std::vector<std::string> parse_oem_strings(ConstBytes table) {
  table = table.first(std::min(table.size(), kMostSmbios));
  std::vector<std::string> strings;
  for (size_t at = 0; at + kHeader <= table.size();) {
    uint8_t type = table[at];
    size_t length = table[at + 1];
    if (length < kHeader || at + length > table.size() || type == kEndOfTable) break;
    size_t begin = at + length;
    size_t end = end_of_strings(table, begin);
    if (type == kOemStrings) {
      for (std::string_view text : split(as_text(table.subspan(begin, end - begin)), '\0')) {
        if (text.empty() || text.size() > kLongest) continue;
        if (strings.size() == kMostStrings) return strings;
        strings.emplace_back(text);
      }
    }
    at = end;
  }
  return strings;
}

Result<std::string> setting_of_oem_string(std::string_view text) {
  constexpr std::string_view kCredential = "io.systemd.credential:";
  constexpr std::string_view kBinary = "io.systemd.credential.binary:";
  bool binary = text.starts_with(kBinary);
  if (binary) {
    text.remove_prefix(kBinary.size());
  } else if (text.starts_with(kCredential)) {
    text.remove_prefix(kCredential.size());
  }
  if (!text.starts_with(kPrefix)) return std::string();
  text.remove_prefix(kPrefix.size());
  if (!binary) return std::string(text);
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::string(text);
  ByteVector value = TRY_CONTEXT(text.substr(0, equals), from_base64(text.substr(equals + 1)));
  return concat(text.substr(0, equals), "=", as_text(value));
}

}  // namespace curlingiron
