#include "formats/ssh_key.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

// With these parts after its type.
std::string blob_of(std::string_view type, std::initializer_list<size_t> parts = {32}) {
  ByteWriter out;
  out.be32(static_cast<uint32_t>(type.size()));
  out.append(type);
  for (size_t size : parts) {
    out.be32(static_cast<uint32_t>(size));
    out.zeros(size);
  }
  return to_base64(out.bytes());
}

std::string mistake_in(std::string_view text) {
  Result<std::vector<SshKey>> keys = parse_ssh_keys(text);
  return keys.ok() ? "" : keys.error().message();
}

TEST(SshKey, linesOfAuthorizedKeys) {
  std::string ed25519 = concat("ssh-ed25519 ", blob_of("ssh-ed25519"), " me@laptop at home");
  std::string options = "from=\"10.0.0.0/8\",command=\"say \\\"hello you\\\"\"";
  const std::string ecdsa = blob_of("ecdsa-sha2-nistp256", {8, 65});
  std::string limited = concat(options, " ecdsa-sha2-nistp256 ", ecdsa);
  Result<std::vector<SshKey>> keys =
      parse_ssh_keys(concat("# mine\n\n  ", ed25519, "\r\n", limited, "\n"));
  ASSERT_TRUE(keys.ok()) << keys.error().message();
  ASSERT_EQ(keys.value().size(), 2u);
  const SshKey& first = keys.value()[0];
  EXPECT_EQ(first.type, "ssh-ed25519");
  EXPECT_EQ(first.comment, "me@laptop at home");
  EXPECT_EQ(first.options, "");
  EXPECT_EQ(to_base64(first.blob), blob_of("ssh-ed25519"));
  EXPECT_EQ(keys.value()[1].type, "ecdsa-sha2-nistp256");
  EXPECT_EQ(keys.value()[1].options, options);
  EXPECT_EQ(to_base64(keys.value()[1].blob), ecdsa);
  EXPECT_EQ(keys.value()[1].comment, "");
}

TEST(SshKey, mistakesNameTheLine) {
  EXPECT_TRUE(mistake_in("# nothing\n").empty());
  EXPECT_EQ(mistake_in("\nhello\n"),
            "line 2: no public key of SSH; each line is one, as in ~/.ssh/id_ed25519.pub");
  EXPECT_NE(mistake_in("ssh-ed25519"), "");
  EXPECT_NE(mistake_in("ssh-ed25519 ????"), "");
  EXPECT_EQ(
      mistake_in(concat("ssh-ed25519 ", blob_of("ssh-rsa"))),
      "line 1: damaged: it does not hold a key of the type ssh-ed25519 (it says another one); "
      "copy the whole line again");
  EXPECT_EQ(mistake_in("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"),
            "a private key; name the file of the public one, which ends in .pub");
}

// A key that no sshd takes is one that nobody can log in with.
TEST(SshKey, whatIsCutOffOrNoKey) {
  std::string whole = blob_of("ssh-ed25519");
  for (size_t size = 0; size < whole.size(); size += 4) {
    EXPECT_NE(mistake_in(concat("ssh-ed25519 ", whole.substr(0, size))), "") << size;
  }
  EXPECT_NE(mistake_in(concat("ssh-ed25519 ", blob_of("ssh-ed25519", {31}))), "");
  EXPECT_NE(mistake_in(concat("ssh-ed25519 ", blob_of("ssh-ed25519", {32, 4}))), "");
  EXPECT_NE(mistake_in(concat("ssh-rsa ", blob_of("ssh-rsa", {3}))), "");
  EXPECT_EQ(mistake_in(concat("ssh-rsa ", blob_of("ssh-rsa", {3, 257}))), "");
  EXPECT_EQ(mistake_in(concat("ssh-later ", blob_of("ssh-later", {3, 2, 1}))), "");
  std::string certificate = "ssh-ed25519-cert-v01@openssh.com";
  EXPECT_EQ(
      mistake_in(concat(certificate, " ", blob_of(certificate, {32, 32}))),
      "line 1: a certificate, which no server takes for a key; name the file of the key itself");
  EXPECT_EQ(mistake_in(concat("github.com ssh-ed25519 ", whole)),
            "line 1: \"github.com\" is no option of a key; each line is a public key, as in "
            "~/.ssh/id_ed25519.pub");
  EXPECT_EQ(mistake_in(concat("restrict,FROM=\"a,b\",no-pty ssh-ed25519 ", whole)), "");
  EXPECT_NE(mistake_in(concat("restrict,,pty ssh-ed25519 ", whole)), "");
  for (std::string_view option : {"command", "command=ls", "from=", "tunnel=\"0\"x"}) {
    EXPECT_THAT(mistake_in(concat(option, " ssh-ed25519 ", whole)),
                testing::HasSubstr("needs a value in quotes"))
        << option;
  }
  EXPECT_THAT(mistake_in(concat("pty=\"yes\" ssh-ed25519 ", whole)),
              testing::HasSubstr("pty takes no value"));
}

TEST(SshKey, isBounded) {
  std::string line = concat("ssh-ed25519 ", blob_of("ssh-ed25519"), "\n");
  std::string text;
  for (int i = 0; i < 1000; ++i) text += line;
  EXPECT_EQ(mistake_in(text), "");
  EXPECT_EQ(mistake_in(text + line), "more than 1000 keys");
  EXPECT_EQ(mistake_in(concat("ssh-ed25519 ", std::string(20000, 'A'))),
            "line 1: longer than 16 KiB");
}

}  // namespace
}  // namespace curlingiron
