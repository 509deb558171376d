#include "io/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.h"
#include "base/units.h"
#include "io/openssl_owned.h"

namespace curlingiron {
namespace {

// The digests cannot fail on their input; what is left is an exhausted memory at construction, for
// which no caller has a next step.
void require(bool done) {
  if (!done) std::abort();
}

// Looked up once: finding an algorithm by its name costs more than a short digest.
const EVP_MD* algorithm(DigestKind kind) {
  static const OpenSslOwned<EVP_MD, EVP_MD_free> sha256(
      ::EVP_MD_fetch(nullptr, "SHA2-256", nullptr));
  static const OpenSslOwned<EVP_MD, EVP_MD_free> sha512(
      ::EVP_MD_fetch(nullptr, "SHA2-512", nullptr));
  static const OpenSslOwned<EVP_MD, EVP_MD_free> blake2b(
      ::EVP_MD_fetch(nullptr, "BLAKE2B-512", nullptr));
  switch (kind) {
    case DigestKind::Sha256: return sha256.get();
    case DigestKind::Sha512: return sha512.get();
    case DigestKind::Blake2b512: return blake2b.get();
  }
  __builtin_unreachable();
}

}  // namespace

struct MessageDigest::State {
  explicit State(DigestKind wanted) : kind(wanted), context(::EVP_MD_CTX_new()) {
    require(context != nullptr &&
            ::EVP_DigestInit_ex2(context.get(), algorithm(kind), nullptr) == 1);
  }

  DigestKind kind;
  OpenSslOwned<EVP_MD_CTX, EVP_MD_CTX_free> context;
};

std::string_view digest_name(DigestKind kind) {
  switch (kind) {
    case DigestKind::Sha256: return "SHA-256";
    case DigestKind::Sha512: return "SHA-512";
    case DigestKind::Blake2b512: return "BLAKE2b-512";
  }
  __builtin_unreachable();
}

MessageDigest::MessageDigest(DigestKind kind) : state_(std::make_unique<State>(kind)) {}
MessageDigest::MessageDigest(MessageDigest&&) noexcept = default;
MessageDigest& MessageDigest::operator=(MessageDigest&&) noexcept = default;
MessageDigest::~MessageDigest() = default;

DigestKind MessageDigest::kind() const { return state_->kind; }

void MessageDigest::update(ConstBytes bytes) {
  require(::EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

void MessageDigest::update_zeros(uint64_t count) {
  static constexpr std::array<uint8_t, 16_KiB> kZeros{};
  for (; count != 0; count -= std::min<uint64_t>(count, kZeros.size())) {
    update(ConstBytes(kZeros).first(std::min<uint64_t>(count, kZeros.size())));
  }
}

ByteVector MessageDigest::finish() {
  ByteVector digest(static_cast<size_t>(::EVP_MD_CTX_get_size(state_->context.get())));
  require(::EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1);
  return digest;
}

ByteVector digest_of(DigestKind kind, ConstBytes bytes) {
  MessageDigest digest(kind);
  digest.update(bytes);
  return digest.finish();
}

Result<VerifiedDigest> VerifiedDigest::compare(std::string_view what, ConstBytes expected,
                                               ConstBytes actual) {
  if (!std::ranges::equal(expected, actual)) {
    return Error(
        concat("the ", what, " is ", to_hex(actual), ", but ", to_hex(expected),
               " was expected; it is not the file that was meant, or the digest was mistyped"));
  }
  return VerifiedDigest();
}

}  // namespace curlingiron
