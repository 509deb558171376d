#include "net/tls/client_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "sys/file.h"
#include "unit/net/certificates.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

class ClientCertificateFile : public ::testing::Test {
 protected:
  ClientCertificateFile() {
    made_.make({.name = "ca", .extensions = std::string(testing::kAuthority)});
    made_.make({.name = "me", .issuer = "ca"});
    made_.make({.name = "other"});
    made_.run("openssl ec -in me.key -aes256 -passout pass:secret -out locked.key 2> /dev/null");
    made_.run("openssl pkcs8 -topk8 -in me.key -passout pass:secret -out locked8.key");
    made_.run("openssl pkcs8 -topk8 -nocrypt -in me.key -out me8.key");
  }

  std::string key(const std::string& name) const {
    UniqueFd root = open_root("/").value();
    return read_text(root, made_.file(concat(name, ".key"))).value();
  }
  static std::string error_of(const std::string& pem) {
    Result<std::shared_ptr<const ClientCertificate>> read = ClientCertificate::parse(pem);
    return read.ok() ? "good" : read.error().message();
  }

  TemporaryDirectory directory_ = std::move(TemporaryDirectory::create()).value();
  testing::CertificateFolder made_{directory_.path()};
};

TEST_F(ClientCertificateFile, InWhateverOrder) {
  std::string me = made_.pem("me");
  EXPECT_EQ(error_of(me + key("me")), "good");
  EXPECT_EQ(error_of(key("me") + me), "good");
  EXPECT_EQ(error_of(concat("text\n", me, key("me8"), made_.pem("ca"))), "good");
}

TEST_F(ClientCertificateFile, WhatIsMissing) {
  EXPECT_THAT(error_of(made_.pem("me")), HasSubstr("holds no private key"));
  EXPECT_THAT(error_of(key("me")), HasSubstr("holds no certificate"));
  EXPECT_THAT(error_of(""), HasSubstr("holds no certificate"));
}

TEST_F(ClientCertificateFile, WhatDoesNotFit) {
  EXPECT_THAT(error_of(made_.pem("me") + key("other")), HasSubstr("not that of the first"));
  EXPECT_THAT(error_of(made_.pem("ca") + made_.pem("me") + key("me")),
              HasSubstr("not that of the first"));
}

TEST_F(ClientCertificateFile, KeysThatNoServerOfOursMayUseEither) {
  made_.make({.name = "weak", .key = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"});
  made_.make({.name = "odd", .key = "-algorithm EC -pkeyopt ec_paramgen_curve:P-224"});
  for (const char* name : {"weak", "odd"}) {
    EXPECT_THAT(error_of(made_.pem(name) + key(name)), HasSubstr("its key is not accepted"));
  }
}

// Nobody is asked for a password, neither here nor in /init.
TEST_F(ClientCertificateFile, AKeyWithAPassword) {
  for (const char* name : {"locked", "locked8"}) {
    EXPECT_THAT(error_of(made_.pem("me") + key(name)), HasSubstr("has a password")) << name;
  }
}

TEST_F(ClientCertificateFile, Damage) {
  std::string me = made_.pem("me");
  EXPECT_THAT(error_of(me.substr(0, me.size() / 2) + key("me")), HasSubstr("cut or damaged"));
  std::string none = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
  EXPECT_THAT(error_of(none + key("me")), HasSubstr("cannot be read"));
  std::string bad_key = "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
  EXPECT_THAT(error_of(me + bad_key), HasSubstr("its private key cannot be read"));
  EXPECT_THAT(error_of(std::string((size_t{1} << 20) + 1, 'x')), HasSubstr("larger than"));
}

}  // namespace
}  // namespace curlingiron
