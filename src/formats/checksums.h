// Lists of checksums as distributions publish them beside an image (SHA256SUMS, SHA512SUMS,
// CHECKSUM, IMAGE.sha256), in these forms, mixed as they come:
//
//   GNU   "HEX  NAME", "HEX *NAME"; a backslash before HEX escapes NAME (coreutils, sha256sum(1))
//   BSD   "SHA256 (NAME) = HEX" (sha256(1), sha256sum --tag), "SHA2-256(NAME)= HEX" (openssl dgst)
//   bare  "HEX" and nothing else in the file
//
// '#' comments, blank lines, CRLF and an OpenPGP clear-signed frame (RFC 9580, chapter 7) around
// the list are read over; the OpenPGP signature is not checked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/digest_kind.h"

namespace curlingiron {

inline constexpr size_t kLongestChecksums = size_t{1} << 20;

struct ExpectedDigest {
  DigestKind kind = DigestKind::Sha256;  // or Sha512
  ByteVector bytes;                      // 32 or 64
};

// What the list says of `file_name` (the image's name without folders; a URL's decoded). A line of
// exactly that name goes before lines of the form "FOLDER/NAME"; only SHA-256 and SHA-512 count,
// and SHA-256 where both are there. Errors: not listed (says what is), listed twice with different
// digests, more than kLongestChecksums bytes.
Result<ExpectedDigest> find_checksum(std::string_view text, std::string_view file_name);
// The files that the list names, in its order. Errors: more than kLongestChecksums bytes, a frame
// that is cut.
Result<std::vector<std::string>> checksum_names(std::string_view text);

}  // namespace curlingiron
