#include "payload/ca_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <memory>

#include "base/bytes.h"
#include "base/text.h"
#include "formats/base64.h"
#include "io/openssl_owned.h"
#include "support/certificates.h"

namespace curlingiron {
namespace {

constexpr time_t kIn2030 = 1893456000;

using ::testing::HasSubstr;
using ::testing::Not;

using Certificate = OpenSslOwned<X509, X509_free>;
using Store = OpenSslOwned<X509_STORE, X509_STORE_free>;
// sk_X509_free is a macro.
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using Context = OpenSslOwned<X509_STORE_CTX, X509_STORE_CTX_free>;

Certificate read_certificate(std::string_view pem) {
  OpenSslOwned<BIO, BIO_free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

std::string compact(std::string_view pem) {
  return std::string(as_text(compact_ca_bundle(as_bytes(pem)).value()));
}

ByteVector der_of(std::string_view pem) {
  size_t begin = pem.find("-----\n") + 6;
  return from_base64(pem.substr(begin, pem.find("-----END") - begin)).value();
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

// --- what the header claims about roots with a blanked signature, asked of OpenSSL itself

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

// --- the form

TEST(CaBundle, DropsTextAndDuplicates) {
  std::string bundle = concat("# Root CA\nsubject=x\n", test::kRootCertificate, "junk\n",
                              test::kLeafCertificate, test::kRootCertificate);
  std::string small = compact(bundle);
  EXPECT_THAT(small, Not(HasSubstr("junk")));
  EXPECT_EQ(small, concat(compact(test::kRootCertificate), compact(test::kLeafCertificate)));
  EXPECT_EQ(compact(small), small);
}

TEST(CaBundle, BlanksOnlyARootsSignature) {
  ByteVector before = der_of(test::kRootCertificate);
  ByteVector after = der_of(compact(test::kRootCertificate));
  ASSERT_EQ(after.size(), before.size());
  size_t same = static_cast<size_t>(
      std::mismatch(before.begin(), before.end(), after.begin()).first - before.begin());
  EXPECT_GT(same, before.size() - 80);
  EXPECT_TRUE(all_zero(ConstBytes(after).subspan(same)));
  EXPECT_EQ(der_of(compact(test::kLeafCertificate)), der_of(test::kLeafCertificate));
  EXPECT_EQ(der_of(compact(test::kSelfSignedServer)), der_of(test::kSelfSignedServer));
  EXPECT_EQ(der_of(compact(test::kServerByCommonName)), der_of(test::kServerByCommonName));
}

TEST(CaBundle, RefusesDamage) {
  std::string_view root = test::kRootCertificate;
  EXPECT_FALSE(compact_ca_bundle({}).ok());
  EXPECT_THAT(compact_ca_bundle(as_bytes("\x30\x82")).error().message(), HasSubstr("openssl x509"));
  EXPECT_FALSE(compact_ca_bundle(as_bytes(root.substr(0, root.size() - 10))).ok());
  std::string damaged(root);
  damaged[100] = '!';
  EXPECT_FALSE(compact_ca_bundle(as_bytes(damaged)).ok());
}

}  // namespace
}  // namespace curlingiron
