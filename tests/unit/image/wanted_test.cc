#include "image/wanted.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace curlingiron {
namespace {

const std::string kSha256 = concat("sha256=", std::string(64, 'a'));
const std::string kPin = concat("pin=sha256//", std::string(43, 'A'), "=");

// Of a source, the version of TLS that its server speaks, and settings.
bool is_vouched_for(const std::string& source, std::string_view tls,
                    const std::vector<std::string>& lines) {
  Settings settings;
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  Result<void> read = apply_config(text, settings);
  EXPECT_TRUE(read.ok()) << read.error().message();
  return is_vouched_for(tls, parse_origin({source}).value(), settings);
}

TEST(IsVouchedFor, ByTlsThatWasVerified) {
  EXPECT_TRUE(is_vouched_for("https://h/x", "TLSv1.3", {}));
  EXPECT_TRUE(is_vouched_for("https://h/x", "TLSv1.2", {kPin}));
  EXPECT_TRUE(is_vouched_for("https://h/x", "TLSv1.3", {"insecure", kPin}));
  EXPECT_FALSE(is_vouched_for("https://h/x", "TLSv1.3", {"insecure"}));
  // A pin of a server that spoke no TLS has proven nothing.
  EXPECT_FALSE(is_vouched_for("http://h/x", "", {}));
  EXPECT_FALSE(is_vouched_for("http://h/x", "", {kPin}));
}

TEST(IsVouchedFor, ByADigestOrASignature) {
  const std::string key = "pubkey=RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
  for (const std::string& proof :
       {kSha256, concat("image-", kSha256), std::string("sums=SHA256SUMS"), key}) {
    EXPECT_TRUE(is_vouched_for("http://h/x", "", {proof})) << proof;
    EXPECT_TRUE(is_vouched_for("https://h/x", "TLSv1.3", {"insecure", proof})) << proof;
  }
}

TEST(IsVouchedFor, AFileOfThisMachine) {
  EXPECT_TRUE(is_vouched_for("/srv/image.raw", "", {}));
  EXPECT_TRUE(is_vouched_for("file:///srv/image.raw", "", {"insecure"}));
}

}  // namespace
}  // namespace curlingiron
