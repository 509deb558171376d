#include "net/tls/trust_store.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/pem.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestBundle = 16_MiB;

}  // namespace

OpenSslOwned<X509, X509_free> read_certificate(ConstBytes bytes) {
  const unsigned char* at = bytes.data();
  OpenSslOwned<X509, X509_free> certificate(
      ::d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  bool all = at == bytes.data() + bytes.size();
  return all ? std::move(certificate) : nullptr;
}

Result<std::shared_ptr<const TrustStore>> TrustStore::parse(ConstBytes pem) {
  if (pem.size() > kLargestBundle) return Error("larger than any certificate bundle");
  std::shared_ptr<TrustStore> made(new TrustStore());
  made->store_.reset(::X509_STORE_new());
  if (made->store_ == nullptr) return Error("out of memory");
  PemBlocks blocks = read_pem(as_text(pem), "CERTIFICATE");
  size_t count = 0;
  size_t unknown = 0;
  for (const ByteVector& block : blocks.contents) {
    OpenSslOwned<X509, X509_free> certificate = read_certificate(block);
    if (certificate == nullptr) {
      ++unknown;
    } else if (::X509_STORE_add_cert(made->store_.get(), certificate.get()) == 1) {
      ++count;
    }
  }
  ::ERR_clear_error();  // or a connection would be blamed for what was passed over here
  if (count == 0) {
    return Error(
        "no certificate in it that can be read, of those in PEM (\"-----BEGIN CERTIFICATE-----\"); "
        "\"openssl x509 -in FILE\" makes that of most other forms, \"openssl pkcs7 -print_certs\" "
        "of a PKCS #7 bundle");
  }
  if (size_t bad = blocks.damaged + unknown; bad != 0) {
    log_warning(concat("the CA bundle holds ",
                       plural(bad, "certificate that is", "certificates that are"),
                       " damaged or cannot be read, and not trusted"));
  }
  return std::shared_ptr<const TrustStore>(std::move(made));
}

bool is_among(const X509* certificate, std::span<const OpenSslOwned<X509, X509_free>> others) {
  return std::ranges::any_of(
      others, [&](const auto& other) { return ::X509_cmp(certificate, other.get()) == 0; });
}

OpenSslOwned<X509_STORE, X509_STORE_free> TrustStore::without(
    std::span<const OpenSslOwned<X509, X509_free>> left_out) const {
  OpenSslOwned<X509_STORE, X509_STORE_free> rest(::X509_STORE_new());
  STACK_OF(X509)* all = ::X509_STORE_get1_all_certs(store_.get());
  bool good = rest != nullptr && all != nullptr;
  for (int i = 0; good && i < sk_X509_num(all); ++i) {
    X509* each = sk_X509_value(all, i);
    if (!is_among(each, left_out)) good = ::X509_STORE_add_cert(rest.get(), each) == 1;
  }
  sk_X509_pop_free(all, ::X509_free);
  return good ? std::move(rest) : nullptr;
}

}  // namespace curlingiron
