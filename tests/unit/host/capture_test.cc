#include "host/capture.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "formats/settings.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

const Nic kNic{"ens3", "52:54:00:12:34:56", "virtio_net", 2, true};

Ipv4State state_of(bool permanent, int route_index = 2) {
  auto address = [](int index, Ipv4 host, uint8_t length) {
    AssignedAddress assigned;
    assigned.index = index;
    assigned.prefix = {host, length};
    return assigned;
  };
  auto route = [](int index, Ipv4 gateway, uint32_t metric) {
    Route made;
    made.hops = {NextHop{index, gateway}};
    made.metric = metric;
    return made;
  };
  Ipv4State state;
  state.addresses = {address(1, Ipv4{0x7f000001}, 8), address(2, Ipv4{0xc000020a}, 32)};
  if (!permanent) state.addresses[1].valid = 100s;
  state.routes = {route(3, Ipv4{0x0a000001}, 1024), route(route_index, Ipv4{0xac1f0101}, 100)};
  return state;
}

TEST(Capture, AddressesSetByHandAreHandedOn) {
  std::optional<std::string> value =
      static_ip_setting(state_of(true), {kNic}, {"2001:db8::1", "9.9.9.9", "1.1.1.1", "8.8.8.8"});
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(*value, "192.0.2.10::172.31.1.1:32::52-54-00-12-34-56:none:9.9.9.9:1.1.1.1");
  // And it is what /init reads.
  Settings settings;
  ASSERT_TRUE(apply_setting("ip", *value, settings).ok());
  ASSERT_EQ(settings.network.addresses.size(), 1U);
  EXPECT_EQ(settings.network.addresses[0].prefix.length, 32);
  ASSERT_EQ(settings.network.links.size(), 1U);
  EXPECT_EQ(format_mac(*settings.network.links[0].mac), kNic.mac);
}

TEST(Capture, LeasesAreLeftToDhcp) {
  EXPECT_FALSE(static_ip_setting(state_of(false), {kNic}, {}).has_value());
}

TEST(Capture, WaysThatAreNoNicAreNotGuessed) {
  EXPECT_FALSE(static_ip_setting(state_of(true, 7), {kNic}, {}).has_value());
  EXPECT_FALSE(static_ip_setting({}, {kNic}, {}).has_value());
}

TEST(Capture, ResolversBehindTheStub) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  std::filesystem::create_directories(directory.path() + "/etc");
  std::filesystem::create_directories(directory.path() + "/run/systemd/resolve");
  UniqueFd root = open_root(directory.path()).value();
  EXPECT_TRUE(system_nameservers(root).empty());
  ASSERT_TRUE(write_file_atomically(directory.path() + "/etc/resolv.conf",
                                    as_bytes("# x\nnameserver 127.0.0.53\noptions edns0\n"))
                  .ok());
  ASSERT_TRUE(write_file_atomically(directory.path() + "/run/systemd/resolve/resolv.conf",
                                    as_bytes("nameserver 10.0.0.53\nnameserver fe80::1%eth0\n"))
                  .ok());
  EXPECT_EQ(system_nameservers(root), (std::vector<std::string>{"10.0.0.53", "fe80::1%eth0"}));
}

// Against the kernel itself: loopback has its address, for ever.
TEST(Capture, TheKernelTellsItsAddresses) {
  Result<Ipv4State> state = read_ipv4_state();
  ASSERT_TRUE(state.ok()) << state.error().message();
  bool loopback = false;
  for (const AssignedAddress& address : state.value().addresses) {
    if (address.prefix.address == IpAddress(Ipv4{0x7f000001})) {
      loopback = address.permanent() && address.prefix.length == 8;
    }
  }
  EXPECT_TRUE(loopback);
}

}  // namespace
}  // namespace curlingiron
