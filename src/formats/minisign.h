// Ed25519 public keys and signatures as minisign and signify write them
// (https://jedisct1.github.io/minisign/#signature-format, OpenBSD's signify(1)). Only the form: the
// cryptography is io/signature.h's.
//
//   untrusted comment: anything
//   BASE64 of: algorithm (2), key id (8), key (32) or signature (64)
//   trusted comment: text                                     minisign only
//   BASE64 of the signature of what is above: signature, text
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

using KeyId = std::array<uint8_t, 8>;  // random; little-endian as a number
// "FA10AE71C010998B", as minisign writes it: upper case, without leading zeros.
std::string format_key_id(const KeyId& id);

struct PublicKey {
  KeyId id{};
  std::array<uint8_t, 32> point{};  // RFC 8032
};

// "minisign.pub" and signify's ".pub" with or without their comment, or the base64 alone, as
// minisign -P takes it. A secret key is an error, and none of it is shown.
Result<PublicKey> parse_public_key(std::string_view text);

enum class SignedForm {
  Message,     // 'Ed': the message itself, which has to be in memory as a whole
  Blake2b512,  // 'ED': its BLAKE2b-512
};

struct TrustedComment {
  std::string text;                     // foreign bytes: printable() before it is shown
  std::array<uint8_t, 64> signature{};  // of the signature and the text
};

struct Signature {
  SignedForm form = SignedForm::Message;
  KeyId key{};
  std::array<uint8_t, 64> bytes{};
  std::optional<TrustedComment> trusted_comment;  // minisign's always have one
};

// A .minisig file, or a .sig file of signify.
Result<Signature> parse_signature(std::string_view text);

// What "signify -S -e" writes, and OpenBSD's SHA256.sig: a signature with its message after it.
struct SignedText {
  Signature signature;
  std::string_view message;  // of the text that was parsed
};
// Nullopt: the text does not begin as a signature, or has nothing after it.
std::optional<SignedText> parse_signed_text(std::string_view text);

}  // namespace curlingiron
