#include "image/wanted.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"

namespace curlingiron {
namespace {

const std::string kSha256 = concat("sha256=", std::string(64, 'a'));
const std::string kPin = concat("pin=sha256//", std::string(43, 'A'), "=");

// Of sources, and settings.
bool is_vouched_for(const std::vector<std::string>& sources,
                    const std::vector<std::string>& lines) {
  Settings settings;
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  Result<void> read = apply_config(text, settings);
  EXPECT_TRUE(read.ok()) << read.error().message();
  return is_vouched_for(parse_origin(sources).value(), settings);
}

TEST(IsVouchedFor, ByAServerThatIsVerifiedOrPinned) {
  EXPECT_TRUE(is_vouched_for({"https://h/x"}, {}));
  EXPECT_TRUE(is_vouched_for({"https://h/x"}, {kPin}));
  EXPECT_TRUE(is_vouched_for({"https://h/x"}, {"insecure", kPin}));
  EXPECT_FALSE(is_vouched_for({"https://h/x"}, {"insecure"}));
  EXPECT_FALSE(is_vouched_for({"http://h/x"}, {}));
  EXPECT_FALSE(is_vouched_for({"http://h/x"}, {kPin}));
}

// Any of them may be the one that sends it.
TEST(IsVouchedFor, EachMirror) {
  EXPECT_TRUE(is_vouched_for({"https://h/x", "https://g/x"}, {}));
  EXPECT_FALSE(is_vouched_for({"https://h/x", "http://g/x"}, {}));
  EXPECT_FALSE(is_vouched_for({"http://h/x", "https://g/x"}, {}));
}

TEST(IsVouchedFor, ByADigestOrASignature) {
  const std::string key = "pubkey=RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
  for (const std::string& proof : {kSha256, concat("image-", kSha256), key}) {
    EXPECT_TRUE(is_vouched_for({"http://h/x"}, {proof})) << proof;
    EXPECT_TRUE(is_vouched_for({"https://h/x"}, {"insecure", proof})) << proof;
    EXPECT_TRUE(is_vouched_for({"http://h/x"}, {proof, "sums=SHA256SUMS"})) << proof;
  }
}

// Whoever sends the image may send its digest, too.
TEST(IsVouchedFor, ByAListThatIs) {
  EXPECT_TRUE(is_vouched_for({"https://h/x"}, {"sums=SHA256SUMS"}));
  EXPECT_TRUE(is_vouched_for({"http://h/x"}, {"sums=https://h/SHA256SUMS"}));
  EXPECT_TRUE(is_vouched_for({"http://h/x"}, {"sums=file:///srv/SHA256SUMS"}));
  EXPECT_FALSE(is_vouched_for({"http://h/x"}, {"sums=SHA256SUMS"}));
  EXPECT_FALSE(is_vouched_for({"https://h/x", "http://g/x"}, {"sums=SHA256SUMS"}));
  EXPECT_FALSE(is_vouched_for({"https://h/x"}, {"insecure", "sums=SHA256SUMS"}));
  EXPECT_FALSE(is_vouched_for({"/srv/x"}, {"sums=http://h/SHA256SUMS"}));
}

TEST(IsVouchedFor, AFileOfThisMachine) {
  EXPECT_TRUE(is_vouched_for({"/srv/image.raw"}, {}));
  EXPECT_TRUE(is_vouched_for({"file:///srv/image.raw"}, {"insecure"}));
}

}  // namespace
}  // namespace curlingiron
