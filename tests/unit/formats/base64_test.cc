#include "formats/base64.h"

#include <gtest/gtest.h>

#include <utility>

namespace curlingiron {
namespace {

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

}  // namespace
}  // namespace curlingiron
