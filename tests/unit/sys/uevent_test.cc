#include "sys/uevent.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

TEST(Uevent, FieldsOfAKernelAnnouncement) {
  Result<Uevent> event = parse_uevent(as_bytes(
      "add@/devices/virtio0\0ACTION=add\0DEVPATH=/devices/virtio0\0SUBSYSTEM=virtio\0MODALIAS=virtio:d1v2\0"sv));
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event.value().action, "add");
  EXPECT_EQ(event.value().device, "/devices/virtio0");
  EXPECT_EQ(event.value().subsystem, "virtio");
  EXPECT_EQ(event.value().modalias, "virtio:d1v2");
  EXPECT_EQ(event.value().driver, "");
}

TEST(Uevent, OthersAreRefused) {
  // udev's own messages, truncation, and fields that are missing.
  for (std::string_view text :
       {""sv, "libudev\0\xfe\xed"sv, "add@/x"sv, "add@/x\0SUBSYSTEM=pci\0"sv}) {
    EXPECT_FALSE(parse_uevent(as_bytes(text)).ok()) << text;
  }
}

TEST(Uevent, LastFieldMayLackItsEnd) {
  Result<Uevent> event = parse_uevent(as_bytes("add@/x\0ACTION=add\0DEVPATH=/x"sv));
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event.value().device, "/x");
}

}  // namespace
}  // namespace curlingiron
