#include "io/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <cstdlib>

namespace curlingiron {
namespace {

// The digests cannot fail on their input; what is left is an exhausted memory at construction, for
// which no caller has a next step.
void require(bool done) {
  if (!done) std::abort();
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};

struct FreeXxh3 {
  void operator()(XXH3_state_t* state) const { ::XXH3_freeState(state); }
};

}  // namespace

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{::EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  require(state_->context != nullptr &&
          ::EVP_DigestInit_ex(state_->context.get(), ::EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(ConstBytes bytes) {
  require(::EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  unsigned size = 0;
  require(::EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) == 1 &&
          size == digest.size());
  return digest;
}

Sha256Digest sha256(ConstBytes bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.finish();
}

uint64_t xxh3(ConstBytes bytes) { return ::XXH3_64bits(bytes.data(), bytes.size()); }

struct Xxh3::State {
  std::unique_ptr<XXH3_state_t, FreeXxh3> state{::XXH3_createState()};
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  require(state_->state != nullptr && ::XXH3_64bits_reset(state_->state.get()) == XXH_OK);
}
Xxh3::Xxh3(Xxh3&&) noexcept = default;
Xxh3::~Xxh3() = default;

void Xxh3::update(ConstBytes bytes) {
  require(::XXH3_64bits_update(state_->state.get(), bytes.data(), bytes.size()) == XXH_OK);
}

uint64_t Xxh3::value() const { return ::XXH3_64bits_digest(state_->state.get()); }

}  // namespace curlingiron
