// A list of checksums from a server: whatever it says, a digest that is found stands in it.
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "formats/checksums.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  std::string_view text = as_text(ConstBytes(data, size));
  Result<std::vector<std::string>> names = checksum_names(text);
  if (names.ok() && names.value().size() > split(text, '\n').size()) std::abort();
  std::string_view first_line = text.substr(0, text.find('\n'));
  for (std::string_view name : {std::string_view("disk.img"), std::string_view("a\nb\\c"),
                                std::string_view(), first_line.substr(first_line.rfind(' ') + 1)}) {
    Result<ExpectedDigest> found = find_checksum(text, name);
    if (!found.ok()) {
      for (char c : found.error().message()) {
        if (c < ' ' || c > '~') std::abort();  // of what a server sent, on a console
      }
      continue;
    }
    if (found.value().bytes.size() != (found.value().kind == DigestKind::Sha256 ? 32u : 64u)) {
      std::abort();
    }
    if (to_lower(text).find(to_hex(found.value().bytes)) == std::string::npos) std::abort();
  }
  return 0;
}
