// Digests, behind one header so that the library underneath can be exchanged.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/digest_kind.h"

namespace curlingiron {

std::string_view digest_name(DigestKind kind);  // "SHA-256"

class MessageDigest {
 public:
  explicit MessageDigest(DigestKind kind);
  MessageDigest(MessageDigest&&) noexcept;
  MessageDigest& operator=(MessageDigest&&) noexcept;
  ~MessageDigest();
  void update(ConstBytes bytes);
  void update_zeros(uint64_t count);
  ByteVector finish();  // once
  DigestKind kind() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

ByteVector digest_of(DigestKind kind, ConstBytes bytes);

// That the image is the one that was meant. Only a digest or signature check makes it, or the
// user's waiver of one.
class VerifiedDigest {
 public:
  // The digests are equal, or an error that shows both.
  static Result<VerifiedDigest> compare(std::string_view what, ConstBytes expected,
                                        ConstBytes actual);
  static VerifiedDigest none_given() { return VerifiedDigest(); }

 private:
  friend class SignatureCheck;
  VerifiedDigest() = default;
};

}  // namespace curlingiron
