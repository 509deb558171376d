#include "formats/ssh_key.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

std::string blob_of(std::string_view type) {
  ByteWriter out;
  out.be32(static_cast<uint32_t>(type.size()));
  out.append(type);
  out.zeros(36);
  return to_base64(out.bytes());
}

std::string mistake_in(std::string_view text) {
  Result<std::vector<SshKey>> keys = parse_ssh_keys(text);
  return keys.ok() ? "" : keys.error().message();
}

TEST(SshKey, linesOfAuthorizedKeys) {
  std::string ed25519 = concat("ssh-ed25519 ", blob_of("ssh-ed25519"), " me@laptop at home");
  std::string options = "from=\"10.0.0.0/8\",command=\"say \\\"hello you\\\"\"";
  std::string limited = concat(options, " ecdsa-sha2-nistp256 ", blob_of("ecdsa-sha2-nistp256"));
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
  EXPECT_EQ(to_base64(keys.value()[1].blob), blob_of("ecdsa-sha2-nistp256"));
  EXPECT_EQ(keys.value()[1].comment, "");
}

TEST(SshKey, mistakesNameTheLine) {
  EXPECT_TRUE(mistake_in("# nothing\n").empty());
  EXPECT_EQ(mistake_in("\nhello\n"),
            "line 2: no public key of SSH; each line is one, as in ~/.ssh/id_ed25519.pub");
  EXPECT_NE(mistake_in("ssh-ed25519"), "");
  EXPECT_NE(mistake_in("ssh-ed25519 ????"), "");
  EXPECT_EQ(mistake_in(concat("ssh-ed25519 ", blob_of("ssh-rsa"))),
            "line 1: damaged: it does not hold a key of the type ssh-ed25519");
  EXPECT_EQ(mistake_in(concat("ssh-ed25519 ", blob_of("ssh-ed25519").substr(0, 8))),
            "line 1: damaged: it does not hold a key of the type ssh-ed25519");
  EXPECT_EQ(mistake_in("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"),
            "a private key; name the file of the public one, which ends in .pub");
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
