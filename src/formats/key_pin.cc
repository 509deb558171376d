#include "formats/key_pin.h"

#include <algorithm>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr std::string_view kForm = "sha256//";

}  // namespace

Result<KeyPin> key_pin(ConstBytes sha256) {
  KeyPin pin;
  if (sha256.size() != pin.sha256.size()) return Error("a SHA-256 digest has 32 bytes");
  std::copy(sha256.begin(), sha256.end(), pin.sha256.begin());
  return pin;
}

Result<KeyPin> parse_key_pin(std::string_view text) {
  if (text.starts_with(kForm)) {
    Result<ByteVector> digest = from_base64(text.substr(kForm.size()));
    if (digest.ok()) {
      Result<KeyPin> pin = key_pin(digest.value());
      if (pin.ok()) return pin;
    }
  }
  return Error(concat("\"", printable(text, 80),
                      "\" is not of the form sha256//BASE64 with 32 bytes in base64"));
}

std::string format_key_pin(const KeyPin& pin) { return concat(kForm, to_base64(pin.sha256)); }

}  // namespace curlingiron
