// The digests this program knows.
#pragma once

namespace curlingiron {

enum class DigestKind {
  Sha256,      // FIPS 180-4
  Sha512,      // FIPS 180-4
  Blake2b512,  // RFC 7693, without a key: what minisign signs
};

}  // namespace curlingiron
