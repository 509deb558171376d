// ARP, ICMPv6 and UDP sockets between the two ends of a veth pair, in a network namespace of its
// own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>
#include <set>

#include "support/patience.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/icmp6_socket.h"
#include "sys/packet_socket.h"
#include "sys/power.h"
#include "sys/route_socket.h"
#include "sys/udp6_socket.h"

namespace curlingiron {
namespace {

using ::testing::AnyOf;

class LinkSockets : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "network namespaces need root";
    home_ = std::move(open_path("/proc/thread-self/ns/net", O_RDONLY)).value();
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespaces here";
    if (std::system("ip link add left type veth peer name right") != 0) {
      GTEST_SKIP() << "no veth here, or ip is not installed";
    }
    left_ = static_cast<int>(::if_nametoindex("left"));
    right_ = static_cast<int>(::if_nametoindex("right"));
    NetworkMonitor monitor = std::move(NetworkMonitor::open()).value();
    // Without router advertisements and solicitations of the kernel's own.
    ASSERT_EQ(std::system("for end in left right; do ip link set $end addrgenmode none; "
                          "ip link set $end up; done"),
              0);
    await_carrier(monitor);
  }

  void TearDown() override {
    if (!home_.valid()) return;
    ASSERT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
  }

  void add_addresses() {
    ASSERT_EQ(std::system("ip -6 address add fe80::1/64 dev left nodad && "
                          "ip -6 address add fe80::2/64 dev right nodad && "
                          "ip -6 address add 2001:db8::2/64 dev right nodad"),
              0);
  }

  // What comes soon, or nothing.
  template <typename Socket>
  static auto await(const Socket& socket) {
    Time end = now() + patience(3s);
    for (;;) {
      auto received = socket.receive();
      EXPECT_TRUE(received.ok());
      if (!received.ok() || received.value() || now() >= end) return received;
      PollItem items[] = {PollItem{socket.fd()}};
      (void)poll_items(items, Duration(100ms));
    }
  }

  // Until the kernel has said of both ends that they have carrier. It says so when it has given
  // them their queues, which it does later, on its own; what is sent before is dropped.
  void await_carrier(NetworkMonitor& monitor) {
    std::set<int> ready;
    Time end = now() + patience(10s);
    while (ready.size() < 2) {
      ASSERT_LT(now(), end) << "no carrier";
      PollItem items[] = {PollItem{monitor.fd()}};
      (void)poll_items(items, Duration(100ms));
      Result<NetworkMonitor::Changes> changes = monitor.changes();
      ASSERT_TRUE(changes.ok());
      for (const Link& link : changes.value().links) {
        if (link.up && link.carrier) ready.insert(link.index);
      }
    }
  }

  UniqueFd home_;
  int left_ = 0;
  int right_ = 0;
};

TEST_F(LinkSockets, Arp) {
  ArpSocket left = std::move(ArpSocket::open(left_)).value();
  ArpSocket right = std::move(ArpSocket::open(right_)).value();
  ByteVector probe = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
                      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15};
  ByteVector foreign = probe;
  foreign[1] = 6;  // IEEE 802: the filter drops it
  ASSERT_TRUE(left.broadcast(foreign).ok());
  ASSERT_TRUE(left.broadcast(probe).ok());
  auto received = await(right);
  ASSERT_TRUE(received.value());
  EXPECT_EQ(*received.value(), probe);
  EXPECT_FALSE(right.receive().value());
  EXPECT_FALSE(left.receive().value());  // not even its own
}

TEST_F(LinkSockets, SolicitationsNeedAnAddress) {
  Icmp6Socket socket = std::move(Icmp6Socket::open("left", left_)).value();
  Udp6Socket udp = std::move(Udp6Socket::open("left", left_, 546)).value();
  ByteVector solicitation = {133, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_THAT(socket.send_solicitation(solicitation).error().code(),
              AnyOf(EADDRNOTAVAIL, ENETUNREACH));
  Ipv6 all_servers = parse_ipv6("ff02::1:2").value();
  EXPECT_THAT(udp.send(all_servers, 547, solicitation).error().code(),
              AnyOf(EADDRNOTAVAIL, ENETUNREACH));
  add_addresses();
  EXPECT_TRUE(socket.send_solicitation(solicitation).ok());
  EXPECT_TRUE(udp.send(all_servers, 547, solicitation).ok());
}

TEST_F(LinkSockets, AdvertisementsOfThisLinkAlone) {
  add_addresses();
  Icmp6Socket socket = std::move(Icmp6Socket::open("left", left_)).value();
  ByteVector message = {134, 0, 0, 0, 64, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  auto advertise = [&](std::string_view source, int hops, uint8_t type) {
    UniqueFd sender(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_scope_id = static_cast<uint32_t>(right_);
    Ipv6 from = parse_ipv6(source).value();
    std::copy(from.bytes.begin(), from.bytes.end(), address.sin6_addr.s6_addr);
    ASSERT_EQ(::bind(sender.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::setsockopt(sender.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops), 0);
    ASSERT_EQ(::setsockopt(sender.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &right_, sizeof right_),
              0);
    Ipv6 to = parse_ipv6("ff02::1").value();
    std::copy(to.bytes.begin(), to.bytes.end(), address.sin6_addr.s6_addr);
    message[0] = type;
    ASSERT_EQ(::sendto(sender.get(), message.data(), message.size(), 0,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address),
              static_cast<ssize_t>(message.size()));
  };
  advertise("fe80::2", 64, 134);       // through a router
  advertise("2001:db8::2", 255, 134);  // not link-local
  advertise("fe80::2", 255, 133);      // a solicitation
  message[4] = 63;
  advertise("fe80::2", 255, 134);
  Result<std::optional<Icmp6Message>> received = await(socket);
  ASSERT_TRUE(received.ok() && received.value());
  EXPECT_EQ(format_ipv6(received.value()->source), "fe80::2");
  ASSERT_EQ(received.value()->bytes.size(), message.size());
  EXPECT_EQ(received.value()->bytes[4], 63);
  EXPECT_FALSE(socket.receive().value());
}

TEST_F(LinkSockets, Udp6) {
  add_addresses();
  Udp6Socket client = std::move(Udp6Socket::open("left", left_, 546)).value();
  Udp6Socket other = std::move(Udp6Socket::open("right", right_, 546)).value();  // the same port
  Udp6Socket server = std::move(Udp6Socket::open("right", right_, 547)).value();
  ipv6_mreq group{};
  Ipv6 all_servers = parse_ipv6("ff02::1:2").value();
  std::copy(all_servers.bytes.begin(), all_servers.bytes.end(), group.ipv6mr_multiaddr.s6_addr);
  group.ipv6mr_interface = static_cast<unsigned>(right_);
  ASSERT_EQ(::setsockopt(server.fd(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group), 0);
  ASSERT_TRUE(client.send(all_servers, 547, as_bytes("solicit")).ok());
  Result<std::optional<Udp6Datagram>> heard = await(server);
  ASSERT_TRUE(heard.ok() && heard.value());
  EXPECT_EQ(as_text(heard.value()->payload), "solicit");
  EXPECT_EQ(format_ipv6(heard.value()->source), "fe80::1");
  EXPECT_EQ(heard.value()->source_port, 546);
  ASSERT_TRUE(server.send(heard.value()->source, 546, as_bytes("advertise")).ok());
  heard = await(client);
  ASSERT_TRUE(heard.ok() && heard.value());
  EXPECT_EQ(as_text(heard.value()->payload), "advertise");
  EXPECT_FALSE(other.receive().value());
}

}  // namespace
}  // namespace curlingiron
