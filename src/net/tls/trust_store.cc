#include "net/tls/trust_store.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <string_view>
#include <utility>

#include "base/units.h"
#include "io/openssl_owned.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestBundle = 16_MiB;

// One block of a PEM file: PEM_read_bio() allocates each part with OPENSSL_malloc.
struct PemBlock {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* bytes = nullptr;
  long size = 0;

  PemBlock() = default;
  PemBlock(const PemBlock&) = delete;
  PemBlock& operator=(const PemBlock&) = delete;
  ~PemBlock() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(bytes);
  }
  bool read(BIO* from) { return ::PEM_read_bio(from, &name, &header, &bytes, &size) == 1; }
};

}  // namespace

struct TrustStore::State {
  OpenSslOwned<X509_STORE, X509_STORE_free> store{::X509_STORE_new()};
};

TrustStore::TrustStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
TrustStore::TrustStore(TrustStore&&) noexcept = default;
TrustStore& TrustStore::operator=(TrustStore&&) noexcept = default;
TrustStore::~TrustStore() = default;

X509_STORE* TrustStore::get() const { return state_->store.get(); }

Result<TrustStore> TrustStore::load(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  std::string path = file;
  if (path.starts_with('/')) {
    path.erase(0, path.find_first_not_of('/'));
  } else {
    root = TRY(open_root("."));
  }
  return parse(as_bytes(TRY(read_text(root, path, kLargestBundle))));
}

Result<TrustStore> TrustStore::parse(ConstBytes pem) {
  if (pem.size() > kLargestBundle) return Error("larger than any certificate bundle");
  auto state = std::make_unique<State>();
  OpenSslOwned<BIO, BIO_free> in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (state->store == nullptr || in == nullptr) return Error("out of memory");
  size_t count = 0;
  for (;;) {
    PemBlock block;
    size_t left = ::BIO_ctrl_pending(in.get());
    bool read = block.read(in.get());
    // A block that is damaged is passed over; where none begins any more, nothing is left.
    if (!read && ::BIO_ctrl_pending(in.get()) == 0) break;
    if (!read && ::BIO_ctrl_pending(in.get()) == left) break;
    if (!read || std::string_view(block.name) != PEM_STRING_X509) continue;
    const unsigned char* at = block.bytes;
    OpenSslOwned<X509, X509_free> certificate(::d2i_X509(nullptr, &at, block.size));
    if (certificate == nullptr || at != block.bytes + block.size) continue;
    if (::X509_STORE_add_cert(state->store.get(), certificate.get()) == 1) ++count;
  }
  ::ERR_clear_error();  // or a connection would be blamed for what was passed over here
  if (count == 0) return Error("no usable certificate in it");
  return TrustStore(std::move(state));
}

}  // namespace curlingiron
