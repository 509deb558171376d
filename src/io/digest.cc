#include "io/digest.h"

// The library's own options come before its headers.
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/sha512.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <variant>

#include "base/text.h"
#include "base/units.h"
#include "io/blake2b.h"

namespace curlingiron {
namespace {

// The digests cannot fail on their input; what is left is an exhausted memory at construction, for
// which no caller has a next step.
void require(bool done) {
  if (!done) std::abort();
}

// Lengths are of 32 bits there.
constexpr size_t kPiece = 1_GiB;

class Sha256 {
 public:
  Sha256() { require(::wc_InitSha256(&state_) == 0); }
  ~Sha256() { ::wc_Sha256Free(&state_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(ConstBytes piece) {
    require(::wc_Sha256Update(&state_, piece.data(), static_cast<word32>(piece.size())) == 0);
  }
  ByteVector finish() {
    ByteVector digest(WC_SHA256_DIGEST_SIZE);
    require(::wc_Sha256Final(&state_, digest.data()) == 0);
    return digest;
  }

 private:
  wc_Sha256 state_;
};

class Sha512 {
 public:
  Sha512() { require(::wc_InitSha512(&state_) == 0); }
  ~Sha512() { ::wc_Sha512Free(&state_); }
  Sha512(const Sha512&) = delete;
  Sha512& operator=(const Sha512&) = delete;
  void update(ConstBytes piece) {
    require(::wc_Sha512Update(&state_, piece.data(), static_cast<word32>(piece.size())) == 0);
  }
  ByteVector finish() {
    ByteVector digest(WC_SHA512_DIGEST_SIZE);
    require(::wc_Sha512Final(&state_, digest.data()) == 0);
    return digest;
  }

 private:
  wc_Sha512 state_;
};

class Blake2b {
 public:
  void update(ConstBytes piece) { state_.update(piece); }
  ByteVector finish() {
    std::array<uint8_t, 64> digest = state_.finish();
    return ByteVector(digest.begin(), digest.end());
  }

 private:
  Blake2b512 state_;
};

struct FreeXxh3 {
  void operator()(XXH3_state_t* state) const { ::XXH3_freeState(state); }
};

}  // namespace

struct MessageDigest::State {
  explicit State(DigestKind wanted) : kind(wanted) {
    switch (kind) {
      case DigestKind::Sha256: digest.emplace<Sha256>(); return;
      case DigestKind::Sha512: digest.emplace<Sha512>(); return;
      case DigestKind::Blake2b512: digest.emplace<Blake2b>(); return;
    }
    __builtin_unreachable();
  }

  DigestKind kind;
  std::variant<Blake2b, Sha256, Sha512> digest;
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
MessageDigest::~MessageDigest() = default;

DigestKind MessageDigest::kind() const { return state_->kind; }

void MessageDigest::update(ConstBytes bytes) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(kPiece, bytes.size()))) {
    std::visit([&](auto& digest) { digest.update(bytes.first(std::min(kPiece, bytes.size()))); },
               state_->digest);
  }
}

void MessageDigest::update_zeros(uint64_t count) {
  static constexpr std::array<uint8_t, 16_KiB> kZeros{};
  for (; count != 0; count -= std::min<uint64_t>(count, kZeros.size())) {
    update(ConstBytes(kZeros).first(std::min<uint64_t>(count, kZeros.size())));
  }
}

ByteVector MessageDigest::finish() {
  return std::visit([](auto& digest) { return digest.finish(); }, state_->digest);
}

ByteVector digest_of(DigestKind kind, ConstBytes bytes) {
  MessageDigest digest(kind);
  digest.update(bytes);
  return digest.finish();
}

Result<VerifiedDigest> VerifiedDigest::compare(std::string_view what, ConstBytes expected,
                                               ConstBytes actual) {
  if (!std::ranges::equal(expected, actual)) {
    return Error(concat("the ", what, " is ", to_hex(actual), ", but ", to_hex(expected),
                        " was expected; the file on the server is not the one that was meant"));
  }
  return VerifiedDigest();
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
