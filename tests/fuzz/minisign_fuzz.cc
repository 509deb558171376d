// Keys and signatures: no text crashes, and none passes for the signature of a message that is not
// the corpus's own.
#include <cstdlib>

#include "io/signature.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  std::string_view text = as_text(ConstBytes(data, size));
  Result<PublicKey> key = parse_public_key(text);
  if (!key.ok()) {
    // tests/golden/signatures/minisign.pub
    key = parse_public_key("RWQfyCwkFwjIG/ceRuGI/bYhaUTckpsEROskS1+Y1/Td8vAbvRKOWoX+");
    if (!key.ok()) std::abort();
  }
  if (format_key_id(key.value().id).empty()) std::abort();
  std::optional<SignedText> signed_text = parse_signed_text(text);
  if (signed_text && signed_text->message.size() >= size) std::abort();
  Result<Signature> signature = parse_signature(text);
  if (!signature.ok()) return 0;
  // The id is foreign; with one that fits, the cryptography is reached as well.
  signature.value().key = key.value().id;
  Result<SignatureCheck> check = SignatureCheck::prepare(key.value(), signature.value());
  if (check.ok() && check.value().verify_message(as_bytes("never signed")).ok()) std::abort();
  return 0;
}
