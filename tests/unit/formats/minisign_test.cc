#include "formats/minisign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string golden(const std::string& name) {
  std::ifstream file("golden/signatures/" + name);
  std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_FALSE(text.empty()) << name;
  return text;
}

std::string second_line(const std::string& text) { return std::string(split(text, '\n')[1]); }

std::string key_of(std::string_view text) {
  Result<PublicKey> key = parse_public_key(text);
  return key.ok() ? format_key_id(key.value().id) : key.error().message();
}

std::string verdict(std::string_view text) {
  Result<Signature> signature = parse_signature(text);
  return signature.ok() ? "signature" : signature.error().message();
}

TEST(Minisign, KeyIdsAsTheToolWritesThem) {
  for (const char* name : {"minisign.pub", "other.pub"}) {
    std::string text = golden(name);
    std::string_view comment = split(text, '\n')[0];
    EXPECT_EQ(key_of(text), comment.substr(comment.rfind(' ') + 1)) << name;
  }
  EXPECT_EQ(format_key_id({}), "0");
  EXPECT_EQ(format_key_id({1}), "1");
  EXPECT_EQ(format_key_id({0, 0, 0, 0, 0, 0, 0, 0xab}), "AB00000000000000");
}

TEST(Minisign, PublicKeys) {
  std::string file = golden("minisign.pub");
  std::string id = key_of(file);
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(key_of(second_line(file)), id);
  EXPECT_EQ(key_of(concat("  ", second_line(file), "\r\n")), id);
  EXPECT_EQ(key_of(concat("untrusted comment: x\r\n", second_line(file), "\r\n\r\n")), id);
  EXPECT_EQ(key_of(golden("signify.pub")), "89B7B8264F4C46E4");
}

TEST(Minisign, WhatIsNoPublicKey) {
  std::string line = second_line(golden("minisign.pub"));
  EXPECT_THAT(key_of(""), HasSubstr("missing"));
  EXPECT_THAT(key_of("untrusted comment: only\n"), HasSubstr("missing"));
  EXPECT_THAT(key_of("RWQ"), HasSubstr("no public key"));
  EXPECT_THAT(key_of(line.substr(4)), HasSubstr("no Ed25519 public key"));
  EXPECT_THAT(key_of(line + "\n" + line), HasSubstr("more lines"));
  EXPECT_THAT(key_of(second_line(golden("SHA256SUMS.minisig"))), HasSubstr("exchanged"));
  EXPECT_THAT(key_of(std::string(1 << 20, 'A')), HasSubstr("too long"));
  ByteVector bytes = from_base64(line).value();
  bytes[1] = 'D';
  EXPECT_THAT(key_of(to_base64(bytes)), HasSubstr("no Ed25519 public key"));
  for (size_t size : {104, 158}) {
    std::string secret = to_base64(ByteVector(size, 0x5a));
    EXPECT_THAT(key_of(concat("untrusted comment: secret\n", secret, "\n")),
                AllOf(HasSubstr("secret key"), Not(HasSubstr(secret.substr(0, 8)))));
  }
}

TEST(Minisign, Signatures) {
  Signature prehashed = parse_signature(golden("SHA256SUMS.minisig")).value();
  EXPECT_EQ(prehashed.form, SignedForm::Blake2b512);
  ASSERT_TRUE(prehashed.trusted_comment);
  EXPECT_EQ(prehashed.trusted_comment->text, "a list of checksums");

  Signature legacy = parse_signature(golden("SHA256SUMS.legacy.minisig")).value();
  EXPECT_EQ(legacy.form, SignedForm::Message);
  ASSERT_TRUE(legacy.trusted_comment);
  EXPECT_EQ(legacy.trusted_comment->text, "a list, the old way");
  EXPECT_EQ(format_key_id(legacy.key), key_of(golden("minisign.pub")));

  Signature signify = parse_signature(golden("SHA256SUMS.sig")).value();
  EXPECT_EQ(signify.form, SignedForm::Message);
  EXPECT_FALSE(signify.trusted_comment);
  EXPECT_EQ(format_key_id(signify.key), key_of(golden("signify.pub")));

  std::string windows;
  for (char c : golden("SHA256SUMS.minisig")) windows += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(parse_signature(windows).value().trusted_comment->text, "a list of checksums");
}

TEST(Minisign, WhatIsNoSignature) {
  std::string minisig = golden("SHA256SUMS.minisig");
  std::vector<std::string_view> lines = split(minisig, '\n');
  EXPECT_THAT(verdict(""), HasSubstr("no minisign or signify signature"));
  EXPECT_THAT(verdict("-----BEGIN PGP SIGNATURE-----\n"), HasSubstr("an OpenPGP signature"));
  EXPECT_THAT(verdict("-----BEGIN SSH SIGNATURE-----\n"), HasSubstr("an SSH signature"));
  EXPECT_THAT(verdict("<html>"), HasSubstr("web page"));
  EXPECT_THAT(verdict(golden("minisign.pub")), HasSubstr("exchanged"));
  EXPECT_THAT(verdict(concat(lines[0], "\n", lines[1], "\n")), HasSubstr("cut off"));
  EXPECT_THAT(verdict(concat(lines[0], "\n", lines[1], "\n", lines[2], "\n")),
              HasSubstr("0 bytes instead of 64"));
  EXPECT_THAT(verdict(minisig + "more\n"), HasSubstr("more lines"));
  EXPECT_THAT(verdict(golden("SHA256SUMS.signed")), HasSubstr("something else"));
  EXPECT_THAT(verdict(minisig + std::string(1 << 20, ' ')), HasSubstr("no minisign"));
  ByteVector bytes = from_base64(lines[1]).value();
  bytes[0] = '\x1b';
  EXPECT_THAT(verdict(concat(lines[0], "\n", to_base64(bytes), "\n")), HasSubstr("\"?D\""));
}

TEST(Minisign, EveryPrefixOfASignature) {
  for (const char* name : {"SHA256SUMS.minisig", "SHA256SUMS.legacy.minisig"}) {
    std::string text = golden(name);
    for (size_t size = 0; size + 1 < text.size(); ++size) {
      Result<Signature> cut = parse_signature(std::string_view(text).substr(0, size));
      // An old one without its comment looks as signify's do.
      if (cut.ok()) {
        EXPECT_FALSE(cut.value().trusted_comment) << name << ' ' << size;
      }
    }
  }
}

TEST(Minisign, SignedText) {
  std::string text = golden("SHA256SUMS.signed");
  std::optional<SignedText> parsed = parse_signed_text(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->message, golden("SHA256SUMS"));
  for (const char* name : {"SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.minisig",
                           "SHA256SUMS.legacy.minisig", "minisign.pub"}) {
    EXPECT_FALSE(parse_signed_text(golden(name))) << name;
  }
  EXPECT_FALSE(parse_signed_text(""));
}

}  // namespace
}  // namespace curlingiron
