#include "io/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "formats/base64.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string golden(const std::string& name) {
  UniqueFd root = open_root("golden/signatures").value();
  return read_text(root, name).value();
}

PublicKey golden_key(const std::string& name) { return parse_public_key(golden(name)).value(); }

template <typename T>
std::string verdict(const Result<T>& result) {
  return result.ok() ? "genuine" : result.error().message();
}

std::string check_message(const PublicKey& key, const Signature& signature, ConstBytes message) {
  Result<SignatureCheck> check = SignatureCheck::prepare(key, signature);
  return check.ok() ? verdict(check.value().verify_message(message)) : check.error().message();
}

std::string check_message(const std::string& key, const std::string& signature,
                          std::string_view message) {
  Result<PublicKey> parsed_key = parse_public_key(key);
  if (!parsed_key.ok()) return parsed_key.error().message();
  Result<Signature> parsed = parse_signature(signature);
  if (!parsed.ok()) return parsed.error().message();
  return check_message(parsed_key.value(), parsed.value(), as_bytes(message));
}

// As an image is checked: by a digest that was fed in pieces.
std::string check_image(const std::string& key, const std::string& signature,
                        std::string_view image) {
  Result<SignatureCheck> check =
      SignatureCheck::prepare(parse_public_key(key).value(), parse_signature(signature).value());
  if (!check.ok()) return check.error().message();
  MessageDigest digest(DigestKind::Blake2b512);
  for (size_t at = 0; at < image.size(); at += 1000)
    digest.update(as_bytes(image.substr(at, 1000)));
  return verdict(check.value().verify_image(digest.finish()));
}

template <size_t N>
std::array<uint8_t, N> from_hex_array(std::string_view hex) {
  ByteVector bytes = from_hex(hex).value();
  std::array<uint8_t, N> array{};
  std::copy(bytes.begin(), bytes.end(), array.begin());
  EXPECT_EQ(bytes.size(), N);
  return array;
}

// RFC 8032, section 7.1.
TEST(Signature, Rfc8032) {
  struct Vector {
    const char* key;
    const char* message;
    const char* signature;
  };
  static constexpr Vector kVectors[] = {
      {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9"
       "b46bd25bf5f0595bbe24655141438e7a100b"},
      {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "1"
       "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
       "d"
       "c6594a7c15e9716ed28dc027beceea1ec40a"},
      {"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3f"
       "e"
       "ebbd454d4423643ce80e2a9ac94fa54ca49f",
       "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6643"
       "1"
       "e0303dca179c138ac17ad9bef1177331a704"},
  };
  for (const Vector& vector : kVectors) {
    PublicKey key{.id = {}, .point = from_hex_array<32>(vector.key)};
    Signature signature;
    signature.bytes = from_hex_array<64>(vector.signature);
    ByteVector message = from_hex(vector.message).value();
    EXPECT_EQ(check_message(key, signature, message), "genuine");
    message.push_back(0);
    EXPECT_THAT(check_message(key, signature, message), HasSubstr("does not fit"));
  }
}

// A signature whose scalar is increased by the group's order would verify by the equation alone
// (RFC 8032, 5.1.7: it must be refused).
TEST(Signature, IsNotMalleable) {
  static constexpr uint8_t kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                         0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                         0,    0,    0,    0,    0,    0,    0,    0,
                                         0,    0,    0,    0,    0,    0,    0,    0x10};
  PublicKey key = golden_key("minisign.pub");
  Signature signature = parse_signature(golden("SHA256SUMS.minisig")).value();
  signature.trusted_comment.reset();
  std::string message = golden("SHA256SUMS");
  ASSERT_EQ(check_message(key, signature, as_bytes(message)), "genuine");
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    unsigned sum = signature.bytes[32 + i] + kOrder[i] + carry;
    signature.bytes[32 + i] = static_cast<uint8_t>(sum);
    carry = sum >> 8;
  }
  EXPECT_THAT(check_message(key, signature, as_bytes(message)), HasSubstr("does not fit"));
}

TEST(Signature, Golden) {
  std::string list = golden("SHA256SUMS");
  EXPECT_EQ(check_message(golden("minisign.pub"), golden("SHA256SUMS.minisig"), list), "genuine");
  EXPECT_EQ(check_message(golden("minisign.pub"), golden("SHA256SUMS.legacy.minisig"), list),
            "genuine");
  EXPECT_EQ(check_message(golden("signify.pub"), golden("SHA256SUMS.sig"), list), "genuine");
  EXPECT_EQ(check_image(golden("minisign.pub"), golden("disk.img.minisig"), golden("disk.img")),
            "genuine");
  EXPECT_EQ(check_image(golden("minisign.pub"), golden("SHA256SUMS.minisig"), list), "genuine");
  // Another's signature, of another file.
  EXPECT_THAT(check_image(golden("minisign.pub"), golden("disk.img.minisig"), list),
              AllOf(HasSubstr("does not fit"), HasSubstr("key 1BC80817242CC81F")));
  EXPECT_THAT(check_message(golden("minisign.pub"), golden("disk.img.minisig"), list),
              HasSubstr("does not fit"));
}

TEST(Signature, AnotherKey) {
  std::string list = golden("SHA256SUMS");
  EXPECT_THAT(check_message(golden("other.pub"), golden("SHA256SUMS.minisig"), list),
              AllOf(HasSubstr("by key 1BC80817242CC81F"), HasSubstr("given is C3A7AD77C451FDA;")));
  // The same id over another key: the comment's signature tells, before anything is fetched.
  PublicKey forged = golden_key("other.pub");
  forged.id = golden_key("minisign.pub").id;
  Signature signature = parse_signature(golden("SHA256SUMS.minisig")).value();
  EXPECT_THAT(check_message(forged, signature, as_bytes(list)),
              HasSubstr("trusted comment is not"));
  signature.trusted_comment.reset();
  EXPECT_THAT(check_message(forged, signature, as_bytes(list)), HasSubstr("does not fit"));
}

TEST(Signature, TheOldFormIsNotForImages) {
  for (const auto& [key, signature] : {std::pair("minisign.pub", "SHA256SUMS.legacy.minisig"),
                                       std::pair("signify.pub", "SHA256SUMS.sig")}) {
    EXPECT_THAT(check_image(golden(key), golden(signature), golden("SHA256SUMS")),
                AllOf(HasSubstr("minisign -S -H"), HasSubstr("SHA256SUMS")));
  }
  // The forms cannot be exchanged: the digest is no message, and a message no digest.
  std::string list = golden("SHA256SUMS");
  PublicKey key = golden_key("minisign.pub");
  Signature signature = parse_signature(golden("SHA256SUMS.minisig")).value();
  signature.form = SignedForm::Message;
  EXPECT_THAT(check_message(key, signature, as_bytes(list)), HasSubstr("does not fit"));
  signature = parse_signature(golden("SHA256SUMS.legacy.minisig")).value();
  signature.form = SignedForm::Blake2b512;
  EXPECT_THAT(check_message(key, signature, as_bytes(list)), HasSubstr("does not fit"));
}

// One bit anywhere but in the untrusted comment, whose name says it.
TEST(Signature, EveryBit) {
  struct Case {
    const char* key;
    const char* signature;
  };
  for (const Case& c :
       {Case{"minisign.pub", "SHA256SUMS.minisig"},
        Case{"minisign.pub", "SHA256SUMS.legacy.minisig"}, Case{"signify.pub", "SHA256SUMS.sig"}}) {
    std::string key = golden(c.key);
    std::string signature = golden(c.signature);
    std::string list = golden("SHA256SUMS");
    ASSERT_EQ(check_message(key, signature, list), "genuine");
    auto flip_each = [&](std::string& text, size_t from, const char* what) {
      for (size_t bit = from * 8; bit < text.size() * 8; ++bit) {
        char& byte = text[bit / 8];
        char before = byte;
        byte = static_cast<char>(byte ^ 1 << bit % 8);
        // A line end at the very end says nothing.
        bool harmless = bit / 8 == text.size() - 1 && (byte == ' ' || byte == '\r');
        if (!harmless && check_message(key, signature, list) == "genuine") {
          ADD_FAILURE() << c.signature << ": bit " << bit << " of the " << what;
        }
        byte = before;
      }
    };
    flip_each(list, 0, "message");
    flip_each(signature, signature.find('\n') + 1, "signature");
    flip_each(key, key.find('\n') + 1, "key");
  }
}

TEST(Signature, EveryPrefixOfTheMessage) {
  std::string list = golden("SHA256SUMS");
  for (size_t size = 0; size < list.size(); ++size) {
    EXPECT_NE(check_message(golden("minisign.pub"), golden("SHA256SUMS.minisig"),
                            std::string_view(list).substr(0, size)),
              "genuine");
  }
}

TEST(Signature, SignedList) {
  std::string list = golden("SHA256SUMS");
  std::string expected = to_hex(digest_of(DigestKind::Sha256, as_bytes(golden("disk.img"))));
  auto find = [&](const char* key, std::string_view text, std::string_view signature,
                  std::string_view name = "disk.img") {
    Result<ExpectedDigest> found = find_signed_checksum(golden_key(key), text, signature, name);
    return found.ok() ? to_hex(found.value().bytes) : found.error().message();
  };
  EXPECT_EQ(find("minisign.pub", list, golden("SHA256SUMS.minisig")), expected);
  EXPECT_EQ(find("minisign.pub", list, golden("SHA256SUMS.legacy.minisig")), expected);
  EXPECT_EQ(find("signify.pub", list, golden("SHA256SUMS.sig")), expected);
  EXPECT_EQ(find("signify.pub", golden("SHA256SUMS.signed"), ""), expected);
  EXPECT_THAT(find("signify.pub", list, ""), HasSubstr("sig="));
  EXPECT_THAT(find("minisign.pub", golden("SHA256SUMS.signed"), ""), HasSubstr("by key"));
  EXPECT_THAT(find("signify.pub", golden("SHA256SUMS.signed") + " ", ""), HasSubstr("not fit"));
  EXPECT_THAT(find("minisign.pub", list + " ", golden("SHA256SUMS.minisig")), HasSubstr("not fit"));
  EXPECT_THAT(find("minisign.pub", list, golden("SHA256SUMS.minisig"), "other"),
              HasSubstr("none for \"other\""));
}

// The tools themselves, with keys of this run.
class SignatureTools : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(folder_.ok()); }
  std::string path() const { return folder_.value().path(); }
  bool run(const std::string& command) {
    return std::system(concat("cd '", path(), "' && (", command, ") > log 2>&1").c_str()) == 0;
  }
  std::string text(const std::string& name) {
    Result<UniqueFd> root = open_root(path());
    Result<std::string> content = read_text(root.value(), name, size_t{16} << 20);
    return content.ok() ? content.value() : "";
  }
  void write(const std::string& name, std::string_view content) {
    ASSERT_TRUE(write_file_atomically(path() + "/" + name, as_bytes(content)).ok());
  }

  Result<TemporaryDirectory> folder_ = TemporaryDirectory::create();
};

TEST_F(SignatureTools, Minisign) {
  if (!program_exists("minisign")) GTEST_SKIP() << "minisign is not installed";
  ASSERT_TRUE(run("minisign -G -W -p a.pub -s a.sec && minisign -G -W -p b.pub -s b.sec"));
  std::string image;
  for (uint32_t i = 0; image.size() < size_t{3} << 20; ++i) image += concat(i * 2654435761u, "\n");
  for (std::string_view content :
       {std::string_view(), std::string_view("x"), std::string_view(image)}) {
    write("m", content);
    ASSERT_TRUE(
        run("minisign -S -H -s a.sec -m m -x m.new -t 'trusted text' && "
            "minisign -S -l -s a.sec -m m -x m.old"));
    EXPECT_EQ(check_image(text("a.pub"), text("m.new"), content), "genuine");
    EXPECT_EQ(check_message(text("a.pub"), text("m.new"), content), "genuine");
    EXPECT_EQ(check_message(text("a.pub"), text("m.old"), content), "genuine");
    EXPECT_THAT(check_image(text("a.pub"), text("m.old"), content), HasSubstr("minisign -S -H"));
    EXPECT_THAT(check_image(text("b.pub"), text("m.new"), content), HasSubstr("by key"));
    EXPECT_NE(check_image(text("a.pub"), text("m.new"), std::string(content) + "."), "genuine");
  }
  EXPECT_EQ(parse_signature(text("m.new")).value().trusted_comment->text, "trusted text");
  // What this refuses, the tool refuses, and in the same words for the keys.
  ASSERT_FALSE(run("minisign -V -p b.pub -m m -x m.new"));
  std::string refused = check_image(text("b.pub"), text("m.new"), image);
  for (const char* key : {"a.pub", "b.pub"}) {
    std::string id = format_key_id(parse_public_key(text(key)).value().id);
    EXPECT_THAT(text("log"), HasSubstr(id));
    EXPECT_THAT(refused, HasSubstr(id));
  }
}

TEST_F(SignatureTools, Signify) {
  if (!program_exists("signify-openbsd")) GTEST_SKIP() << "signify-openbsd is not installed";
  ASSERT_TRUE(run("signify-openbsd -G -n -p a.pub -s a.sec"));
  write("disk.img", "an image");
  ASSERT_TRUE(
      run("sha256sum --tag disk.img > SHA256 && "
          "signify-openbsd -S -s a.sec -m SHA256 -x list.sig && "
          "signify-openbsd -S -e -s a.sec -m SHA256 -x list.signed"));
  EXPECT_EQ(check_message(text("a.pub"), text("list.sig"), text("SHA256")), "genuine");
  PublicKey key = parse_public_key(text("a.pub")).value();
  ByteVector expected = digest_of(DigestKind::Sha256, as_bytes("an image"));
  for (const auto& [list, signature] : {std::pair(text("SHA256"), text("list.sig")),
                                        std::pair(text("list.signed"), std::string())}) {
    Result<ExpectedDigest> found = find_signed_checksum(key, list, signature, "disk.img");
    ASSERT_TRUE(found.ok()) << found.error().message();
    EXPECT_EQ(found.value().bytes, expected);
  }
  EXPECT_THAT(verdict(parse_public_key(text("a.sec"))), HasSubstr("secret key"));
}

}  // namespace
}  // namespace curlingiron
