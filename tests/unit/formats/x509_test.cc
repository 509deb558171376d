#include "formats/x509.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/der.h"
#include "formats/http_text.h"
#include "support/certificates.h"

namespace curlingiron {
namespace {

using test::kLeafCertificate;
using test::kRootCertificate;
using test::kSelfSignedServer;

ByteVector der_of(std::string_view pem) { return read_pem_certificates(as_bytes(pem)).at(0); }

TEST(X509, ALeafAndItsRoot) {
  ByteVector leaf_der = der_of(kLeafCertificate);
  ByteVector root_der = der_of(kRootCertificate);
  Certificate leaf = parse_x509(leaf_der).value();
  Certificate root = parse_x509(root_der).value();
  EXPECT_EQ(as_text(leaf.issuer), as_text(root.subject));
  EXPECT_EQ(as_text(leaf.authority_key_id), as_text(root.key_id));
  EXPECT_EQ(display_name(leaf.subject), "leaf");
  EXPECT_EQ(display_name(leaf.issuer), "test root");
  EXPECT_EQ(format_date(leaf.not_before), "2026-11-22");
  EXPECT_EQ(format_date(leaf.not_after), "2126-10-29");
  EXPECT_EQ(leaf.key_kind, KeyKind::Ecdsa);
  EXPECT_EQ(leaf.key_bits, 256U);
  EXPECT_EQ(leaf.signature, SignatureKind::Strong);
  EXPECT_FALSE(leaf.is_ca);
  EXPECT_FALSE(leaf.self_issued());
  EXPECT_TRUE(root.is_ca);
  EXPECT_TRUE(root.self_issued());
  EXPECT_TRUE(root.signs_certificates());
  EXPECT_EQ(root.key_usage, 0x06);  // certificates and revocation lists
  EXPECT_EQ(server_names(leaf, 5), std::vector<std::string>{"localhost"});
  EXPECT_TRUE(is_for_host(leaf, "LOCALHOST."));
  EXPECT_FALSE(is_for_host(leaf, "leaf"));  // the common name does not count beside others
  EXPECT_TRUE(is_for_host(root, "test root"));
}

TEST(X509, EveryPrefixIsAnError) {
  for (const char* pem : {kLeafCertificate, kRootCertificate, kSelfSignedServer}) {
    ByteVector der = der_of(pem);
    EXPECT_TRUE(parse_x509(der).ok());
    for (size_t size = 0; size < der.size(); ++size) {
      EXPECT_FALSE(parse_x509(ConstBytes(der).first(size)).ok()) << size;
    }
    der.push_back(0);
    EXPECT_FALSE(parse_x509(der).ok());
  }
}

TEST(X509, Pem) {
  std::string two = concat("a\r\n", kRootCertificate, "b\n", kLeafCertificate);
  EXPECT_EQ(read_pem_certificates(as_bytes(two)).size(), 2U);
  EXPECT_TRUE(read_pem_certificates({}).empty());
  EXPECT_TRUE(read_pem_certificates(as_bytes("-----BEGIN CERTIFICATE-----")).empty());
  // What was cut off is not completed by what follows.
  std::string cut = std::string(kRootCertificate).substr(0, 300);
  EXPECT_EQ(read_pem_certificates(as_bytes(concat(cut, '\n', kLeafCertificate))),
            std::vector<ByteVector>{der_of(kLeafCertificate)});
}

Result<int64_t> time_of(DerTag tag, std::string_view text) {
  return der_time(DerElement{tag, {}, as_bytes(text)});
}

TEST(Der, Times) {
  EXPECT_EQ(time_of(DerTag::UtcTime, "700101000000Z").value(), 0);
  EXPECT_EQ(format_date_time(time_of(DerTag::UtcTime, "491231235959Z").value()),
            "2049-12-31 23:59:59 UTC");
  EXPECT_EQ(format_date(time_of(DerTag::UtcTime, "500101000000Z").value()), "1950-01-01");
  EXPECT_EQ(format_date_time(time_of(DerTag::GeneralizedTime, "20240229123456Z").value()),
            "2024-02-29 12:34:56 UTC");
  EXPECT_EQ(format_date(time_of(DerTag::GeneralizedTime, "99991231235959Z").value()), "9999-12-31");
  for (std::string_view bad :
       {"", "Z", "7001010000Z", "700101000000", "700101000000+0000", "701301000000Z",
        "700100000000Z", "70010100000-Z", "700101240000Z", "700101000000Z0"}) {
    EXPECT_FALSE(time_of(DerTag::UtcTime, bad).ok()) << bad;
  }
  EXPECT_FALSE(time_of(DerTag::GeneralizedTime, "700101000000Z").ok());
  EXPECT_FALSE(time_of(DerTag::Integer, "700101000000Z").ok());
}

TEST(Der, LengthsAreAsShortAsTheyCanBe) {
  auto reads = [](ByteVector bytes) { return DerReader(bytes).next().ok(); };
  EXPECT_TRUE(reads({0x04, 0x01, 0xff}));
  EXPECT_FALSE(reads({0x04, 0x81, 0x01, 0xff}));
  EXPECT_FALSE(reads({0x04, 0x80, 0xff, 0x00, 0x00}));
  EXPECT_FALSE(reads({0x04, 0x82, 0x00, 0x80}));
  EXPECT_FALSE(reads({0x04, 0x84, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(reads({0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(reads({0x1f, 0x01, 0x00}));
  EXPECT_FALSE(reads({0x04}));
  EXPECT_FALSE(reads({}));
  ByteVector longer(200, 7);
  longer[0] = 0x04, longer[1] = 0x81, longer[2] = 197;
  EXPECT_TRUE(reads(longer));
}

TEST(Der, Numbers) {
  EXPECT_EQ(der_u32(ByteVector{0}).value(), 0U);
  EXPECT_EQ(der_u32(ByteVector{0x00, 0xff, 0xff, 0xff, 0xff}).value(), 0xffffffffU);
  for (const ByteVector& bad :
       {ByteVector{}, ByteVector{0x80}, ByteVector{1, 0, 0, 0, 0}, ByteVector{0, 0, 0, 0, 0, 1}}) {
    EXPECT_FALSE(der_u32(bad).ok());
  }
}

}  // namespace
}  // namespace curlingiron
