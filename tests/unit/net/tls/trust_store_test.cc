#include "net/tls/trust_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/text.h"
#include "base/units.h"
#include "io/openssl_owned.h"
#include "net/tls/policy.h"
#include "support/certificates.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/certificates.h"

namespace curlingiron {
namespace {

size_t count(const TrustStore& store) {
  STACK_OF(X509)* all = ::X509_STORE_get1_all_certs(store.get());
  int size = sk_X509_num(all);
  sk_X509_pop_free(all, ::X509_free);
  return static_cast<size_t>(size);
}

TEST(TrustStore, OneThatCannotBeReadDoesNotSpoilTheOthers) {
  std::string junk =
      "-----BEGIN CERTIFICATE-----\nMIIB!!!\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
  std::string cut = "-----BEGIN CERTIFICATE-----\nits end is lost\n";
  std::string key = "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
  std::string bundle = concat("text\r\n", junk, test::kLeafCertificate, key, junk,
                              test::kRootCertificate, "more text\n", cut);
  Result<std::shared_ptr<const TrustStore>> store = TrustStore::parse(as_bytes(bundle));
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(count(*store.value()), 2U);
  for (std::string_view bad : {junk, cut, key, std::string("nothing\n"), std::string()}) {
    EXPECT_FALSE(TrustStore::parse(as_bytes(bad)).ok()) << bad;
  }
}

TEST(TrustStore, OneThatIsCutDoesNotSpoilTheNext) {
  std::string cut(test::kLeafCertificate);
  cut.resize(cut.size() / 2);
  EXPECT_EQ(count(*TrustStore::parse(as_bytes(concat(cut, test::kRootCertificate))).value()), 1U);
  EXPECT_EQ(count(*TrustStore::parse(as_bytes(concat(cut, '\n', test::kRootCertificate))).value()),
            1U);
}

TEST(TrustStore, TakesEachCertificateOnce) {
  std::string bundle = concat(test::kRootCertificate, test::kRootCertificate);
  EXPECT_EQ(count(*TrustStore::parse(as_bytes(bundle)).value()), 1U);
}

TEST(TrustStore, SomeCanBeLeftOut) {
  std::string bundle = concat(test::kRootCertificate, test::kLeafCertificate);
  auto store = TrustStore::parse(as_bytes(bundle)).value();
  STACK_OF(X509)* all = ::X509_STORE_get1_all_certs(store->get());
  std::vector<OpenSslOwned<X509, X509_free>> left_out;
  ::X509_up_ref(sk_X509_value(all, 0));
  left_out.emplace_back(sk_X509_value(all, 0));
  sk_X509_pop_free(all, ::X509_free);
  auto rest = store->without(left_out);
  all = ::X509_STORE_get1_all_certs(rest.get());
  ASSERT_EQ(sk_X509_num(all), 1);
  EXPECT_FALSE(is_among(sk_X509_value(all, 0), left_out));
  sk_X509_pop_free(all, ::X509_free);
  EXPECT_EQ(count(*store), 2U);
}

// A server's certificate in the name of this authority, which it did not sign: by `leaf`, whose
// signature is of the authority's kind.
OpenSslOwned<X509, X509_free> forged_below(const X509* authority, const std::string& leaf) {
  OpenSslOwned<BIO, BIO_free> in(::BIO_new_mem_buf(leaf.data(), static_cast<int>(leaf.size())));
  OpenSslOwned<X509, X509_free> made(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  ::X509_set_issuer_name(made.get(), ::X509_get_subject_name(authority));
  int extension = ::X509_get_ext_by_NID(made.get(), NID_authority_key_identifier, -1);
  if (extension >= 0) ::X509_EXTENSION_free(::X509_delete_ext(made.get(), extension));
  // Read again, so that nothing is remembered of the one before.
  unsigned char* der = nullptr;
  ::i2d_re_X509_tbs(made.get(), nullptr);
  int size = ::i2d_X509(made.get(), &der);
  const unsigned char* at = der;
  made.reset(::d2i_X509(nullptr, &at, size));
  OPENSSL_free(der);
  return made;
}

// No root of the distribution's is refused for what it is: each is found for a server's certificate
// in its name and stands every test but the last one, that it has signed it.
TEST(TrustStore, EveryRootOfTheSystemCouldVouch) {
  UniqueFd root = open_root("/").value();
  Result<std::string> bundle = read_text(root, "etc/ssl/certs/ca-certificates.crt", 16_MiB);
  if (!bundle.ok()) GTEST_SKIP() << "ca-certificates is not installed";
  auto trusted = TrustStore::parse(as_bytes(bundle.value())).value();
  const TrustStore& store = *trusted;
  size_t written = 0;
  for (size_t at = 0; (at = bundle.value().find("BEGIN CERT", at)) != std::string::npos; ++at) {
    ++written;
  }
  EXPECT_EQ(count(store), written);
  TemporaryDirectory directory = std::move(TemporaryDirectory::create()).value();
  testing::CertificateFolder made(directory.path());
  std::string rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
  made.make({.name = "by-rsa", .key = rsa});
  made.make({.name = "by-ec"});
  STACK_OF(X509)* roots = ::X509_STORE_get1_all_certs(store.get());
  for (int i = 0; i < sk_X509_num(roots); ++i) {
    const X509* each = sk_X509_value(roots, i);
    SCOPED_TRACE(display_name(::X509_get_subject_name(each)));
    OpenSslOwned<X509, X509_free> server = forged_below(
        each, made.pem(::EVP_PKEY_get_base_id(::X509_get0_pubkey(each)) == EVP_PKEY_EC ? "by-ec"
                                                                                       : "by-rsa"));
    OpenSslOwned<X509_STORE_CTX, X509_STORE_CTX_free> verification(::X509_STORE_CTX_new());
    ::X509_STORE_CTX_init(verification.get(), store.get(), server.get(), nullptr);
    TlsVerdict::demand(::X509_STORE_CTX_get0_param(verification.get()), "", wall_clock_seconds());
    ::X509_VERIFY_PARAM_set_auth_level(::X509_STORE_CTX_get0_param(verification.get()), 2);
    EXPECT_EQ(::X509_verify_cert(verification.get()), 0);
    int error = ::X509_STORE_CTX_get_error(verification.get());
    EXPECT_TRUE(error == X509_V_ERR_CERT_SIGNATURE_FAILURE || error == X509_V_ERR_CERT_HAS_EXPIRED)
        << ::X509_verify_cert_error_string(error);
    EXPECT_FALSE(TlsVerdict::objection_to(::X509_STORE_CTX_get0_chain(verification.get()),
                                          "server.example"));
  }
  sk_X509_pop_free(roots, ::X509_free);
}

}  // namespace
}  // namespace curlingiron
