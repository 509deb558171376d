#include "io/signature.h"

#include <openssl/evp.h>

#include <utility>

#include "base/advice.h"
#include "base/text.h"
#include "io/openssl_owned.h"

namespace curlingiron {
namespace {

// False for a point that is none and for a signature that is none, as well as for one that does not
// fit.
bool is_signed(const PublicKey& key, ConstBytes signature, ConstBytes message) {
  OpenSslOwned<EVP_PKEY, EVP_PKEY_free> point(
      ::EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.point.data(), key.point.size()));
  OpenSslOwned<EVP_MD_CTX, EVP_MD_CTX_free> context(::EVP_MD_CTX_new());
  // The library takes a missing message for an error, also where none is what was signed.
  static constexpr uint8_t kNothing = 0;
  const uint8_t* begin = message.empty() ? &kNothing : message.data();
  return point != nullptr && context != nullptr &&
         ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, point.get()) == 1 &&
         ::EVP_DigestVerify(context.get(), signature.data(), signature.size(), begin,
                            message.size()) == 1;
}

Error mismatch(const PublicKey& key, std::string_view what) {
  return Error(concat("the signature does not fit: this is not the ", what, " that key ",
                      format_key_id(key.id), " signed; it was changed since, or the signature is ",
                      "that of another file"));
}

}  // namespace

SignatureCheck::SignatureCheck(const PublicKey& key, Signature signature)
    : key_(key), signature_(std::move(signature)) {}

Result<SignatureCheck> SignatureCheck::prepare(const PublicKey& key, Signature signature) {
  if (key.id != signature.key) {
    return Error(concat("the signature is by key ", format_key_id(signature.key),
                        ", but the public key given is ", format_key_id(key.id),
                        "; give the signer's public key, or the signature made with this one"));
  }
  if (signature.trusted_comment) {
    ByteVector covered(signature.bytes.begin(), signature.bytes.end());
    ConstBytes comment = as_bytes(signature.trusted_comment->text);
    covered.insert(covered.end(), comment.begin(), comment.end());
    if (!is_signed(key, signature.trusted_comment->signature, covered)) {
      return Error(concat("the signature's trusted comment is not what key ", format_key_id(key.id),
                          " signed: the file was changed, or its key is not "
                          "the one whose id it bears"));
    }
  }
  return SignatureCheck(key, std::move(signature));
}

Result<void> SignatureCheck::check_fits_image() const {
  switch (signature_.form) {
    case SignedForm::Blake2b512: return {};
    case SignedForm::Message:
      return Error(
          "the signature is of the old form (\"Ed\"), which needs the whole image in memory; sign "
          "the image with \"minisign -S -H\" (0.10 and later do so unasked), or sign its list of "
          "checksums (SHA256SUMS) instead");
  }
  __builtin_unreachable();
}

Result<VerifiedDigest> SignatureCheck::verify_image(ConstBytes blake2b512) const {
  TRY(check_fits_image());
  if (!is_signed(key_, signature_.bytes, blake2b512)) return mismatch(key_, "file");
  return VerifiedDigest();
}

Result<void> SignatureCheck::verify_message(ConstBytes message) const {
  ByteVector digest;
  if (signature_.form == SignedForm::Blake2b512) {
    digest = digest_of(DigestKind::Blake2b512, message);
    message = digest;
  }
  if (!is_signed(key_, signature_.bytes, message)) return mismatch(key_, "text");
  return {};
}

Result<ExpectedDigest> find_signed_checksum(const PublicKey& key, std::string_view list,
                                            std::string_view signature,
                                            std::string_view file_name) {
  if (!signature.empty()) {
    SignatureCheck check = TRY(SignatureCheck::prepare(key, TRY(parse_signature(signature))));
    TRY(check.verify_message(as_bytes(list)));
    return find_checksum(list, file_name);
  }
  std::optional<SignedText> signed_text = parse_signed_text(list);
  if (!signed_text) {
    return Error(concat("the list of checksums does not hold its signature; say where that is (",
                        as_typed("sig=URL"), ")"));
  }
  SignatureCheck check = TRY(SignatureCheck::prepare(key, std::move(signed_text->signature)));
  TRY(check.verify_message(as_bytes(signed_text->message)));
  return find_checksum(signed_text->message, file_name);
}

}  // namespace curlingiron
