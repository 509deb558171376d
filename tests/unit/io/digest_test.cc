#include "io/digest.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

ByteVector sha256(ConstBytes bytes) { return digest_of(DigestKind::Sha256, bytes); }

TEST(MessageDigest, KnownAnswers) {  // FIPS 180-4's examples, and RFC 7693's
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(digest_of(DigestKind::Sha512, as_bytes("abc"))),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(to_hex(digest_of(DigestKind::Blake2b512, as_bytes("abc"))),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

TEST(MessageDigest, PiecesGiveTheDigestOfTheWhole) {
  ByteVector bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  for (size_t piece = 1; piece < 200; piece += 13) {
    MessageDigest digest(DigestKind::Sha256);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      digest.update(ConstBytes(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    EXPECT_EQ(digest.finish(), sha256(bytes));
  }
}

TEST(MessageDigest, ZerosByCountAreZeros) {
  MessageDigest digest(DigestKind::Sha256);
  digest.update_zeros(100'001);
  EXPECT_EQ(digest.finish(), sha256(ByteVector(100'001)));
}

TEST(MessageDigest, CanBeMovedWhileItRuns) {
  MessageDigest first(DigestKind::Sha256);
  first.update(as_bytes("ab"));
  MessageDigest second = std::move(first);
  second.update(as_bytes("c"));
  EXPECT_EQ(second.finish(), sha256(as_bytes("abc")));
}

}  // namespace
}  // namespace curlingiron
