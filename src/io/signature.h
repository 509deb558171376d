// Ed25519 signatures (RFC 8032, as minisign and signify use it) of an image or of a list of
// checksums.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/checksums.h"
#include "formats/minisign.h"
#include "io/digest.h"

namespace curlingiron {

// A signature by a key that the user trusts, ready for what it is said to sign.
class SignatureCheck {
 public:
  // What can be known without the message, and so before a download: the key is the one that
  // signed, by its id (an error shows both), and the trusted comment is what was signed.
  static Result<SignatureCheck> prepare(const PublicKey& key, Signature signature);

  // An image is checked as it streams by, and 'Ed' signatures need all of it at once: an error that
  // says what to do.
  Result<void> check_fits_image() const;
  // `blake2b512`: of the bytes that were signed, 64 bytes. Says nothing of a 'Ed' signature.
  Result<VerifiedDigest> verify_image(ConstBytes blake2b512) const;
  // A message in memory, by either form.
  Result<void> verify_message(ConstBytes message) const;

  const Signature& signature() const { return signature_; }

 private:
  SignatureCheck(const PublicKey& key, Signature signature);

  PublicKey key_;
  Signature signature_;
};

// What a signed list of checksums says of `file_name` (formats/checksums.h), once the signature is
// proven to be that of the list. `signature`: a .minisig or .sig file; empty when `list` itself
// begins with its signature (signify -S -e).
Result<ExpectedDigest> find_signed_checksum(const PublicKey& key, std::string_view list,
                                            std::string_view signature, std::string_view file_name);

}  // namespace curlingiron
