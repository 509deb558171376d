#include "formats/pem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/base64.h"
#include "support/certificates.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string compact(std::string_view pem) {
  auto compacted = compact_ca_bundle(as_bytes(pem));
  EXPECT_TRUE(compacted.ok()) << compacted.error().message();
  return compacted.ok() ? std::string(as_text(compacted.value())) : "";
}

ByteVector der_of(std::string_view pem) {
  size_t begin = pem.find("-----\n") + 6;
  return from_base64(pem.substr(begin, pem.find("-----END") - begin)).value();
}

TEST(Base64, RoundTrip) {
  const std::pair<const char*, const char*> rfc4648[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : rfc4648) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    EXPECT_EQ(as_text(from_base64(coded).value()), plain);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zm8==", "Zg==Zg==", "Z!==", "=", "Zm9v="}) {
    EXPECT_FALSE(from_base64(bad).ok()) << bad;
  }
}

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
