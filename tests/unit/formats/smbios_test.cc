#include "formats/smbios.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ByteVector structure(uint8_t type, std::vector<std::string> strings, size_t fields = 1) {
  ByteWriter out;
  out.u8(type);
  out.u8(static_cast<uint8_t>(4 + fields));
  out.le16(0x100);
  out.zeros(fields);
  for (const std::string& text : strings) {
    out.append(text);
    out.u8(0);
  }
  out.zeros(strings.empty() ? 2 : 1);
  return std::move(out).bytes();
}

ByteVector table(const std::vector<ByteVector>& structures) {
  ByteVector bytes;
  for (const ByteVector& each : structures) bytes.insert(bytes.end(), each.begin(), each.end());
  return bytes;
}

TEST(Smbios, FindsOemStrings) {
  ByteVector bytes =
      table({structure(1, {"QEMU", "pc"}, 23), structure(2, {}),
             structure(11, {"first", "curlingiron.dst=only"}), structure(11, {"third"}),
             structure(127, {}), structure(11, {"after"})});
  EXPECT_THAT(parse_oem_strings(bytes), ElementsAre("first", "curlingiron.dst=only", "third"));
}

TEST(Smbios, EndsWhereTheTableDoes) {
  ByteVector bytes = table({structure(11, {"first", "second"})});
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::vector<std::string> strings = parse_oem_strings(ConstBytes(bytes).first(size));
    EXPECT_LE(strings.size(), 2);
  }
  bytes[1] = 3;
  EXPECT_THAT(parse_oem_strings(bytes), IsEmpty());
  bytes[1] = 255;
  EXPECT_THAT(parse_oem_strings(bytes), IsEmpty());
}

TEST(Smbios, KnowsWhatIsForUs) {
  EXPECT_EQ(setting_of_oem_string("curlingiron.dst=only").value(), "dst=only");
  EXPECT_EQ(setting_of_oem_string("io.systemd.credential:curlingiron.src=http://a/b=c").value(),
            "src=http://a/b=c");
  EXPECT_EQ(setting_of_oem_string("io.systemd.credential.binary:curlingiron.dst=b25seQ==").value(),
            "dst=only");
  EXPECT_EQ(setting_of_oem_string("io.systemd.credential:passwd.x=1").value(), "");
  EXPECT_EQ(setting_of_oem_string("something else").value(), "");
  EXPECT_FALSE(setting_of_oem_string("io.systemd.credential.binary:curlingiron.dst=?").ok());
}

}  // namespace
}  // namespace curlingiron
