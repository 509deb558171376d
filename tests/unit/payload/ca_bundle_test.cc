// What formats/pem.h claims about roots with a blanked signature, asked of OpenSSL itself.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <memory>

#include "base/bytes.h"
#include "formats/pem.h"
#include "support/certificates.h"

namespace curlingiron {
namespace {

constexpr time_t kIn2030 = 1893456000;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
// sk_X509_free is a macro.
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using Context = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;

Certificate read_certificate(std::string_view pem) {
  std::unique_ptr<BIO, Deleter<BIO_free>> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

std::string compact(std::string_view pem) {
  return std::string(as_text(compact_ca_bundle(as_bytes(pem)).value()));
}

int verify(X509* leaf, X509* trusted, STACK_OF(X509) * sent_along) {
  Store store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), trusted);
  Context context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf, sent_along);
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()), kIn2030);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

TEST(BlankedRoot, StillVouchesForItsLeaf) {
  Certificate root = read_certificate(compact(test::kRootCertificate));
  Certificate leaf = read_certificate(test::kLeafCertificate);
  ASSERT_NE(root, nullptr);  // OpenSSL reads the long lines, too
  EXPECT_EQ(verify(leaf.get(), root.get(), nullptr), X509_V_OK);
}

TEST(BlankedRoot, AlsoWhenTheServerSendsTheRealOne) {
  Certificate root = read_certificate(compact(test::kRootCertificate));
  Certificate leaf = read_certificate(test::kLeafCertificate);
  Certificate real = read_certificate(test::kRootCertificate);
  std::unique_ptr<STACK_OF(X509), FreeStack> sent(sk_X509_new_null());
  sk_X509_push(sent.get(), real.get());
  EXPECT_EQ(verify(leaf.get(), root.get(), sent.get()), X509_V_OK);
}

TEST(BlankedRoot, VouchesForNothingElse) {
  Certificate root = read_certificate(compact(test::kRootCertificate));
  Certificate other = read_certificate(test::kSelfSignedServer);
  EXPECT_NE(verify(other.get(), root.get(), nullptr), X509_V_OK);
}

TEST(SelfSignedServer, StaysItsOwnAnchor) {
  Certificate server = read_certificate(test::kSelfSignedServer);
  Certificate trusted = read_certificate(compact(test::kSelfSignedServer));
  EXPECT_EQ(verify(server.get(), trusted.get(), nullptr), X509_V_OK);
}

}  // namespace
}  // namespace curlingiron
