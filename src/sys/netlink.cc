#include "sys/netlink.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

// Netlink speaks the machine's byte order.
static_assert(std::endian::native == std::endian::little);

constexpr size_t kDatagram = 64_KiB;     // the kernel's dumps use at most 32 KiB
constexpr int kEventBuffer = 1 << 20;    // bytes
constexpr size_t kMaxLinks = 4096;       // of one dump
constexpr size_t kMaxAddresses = 65536;  // of one dump
constexpr size_t kMaxInterfaceName = 15;
constexpr uint16_t kTypeMask = 0x3fff;  // NLA_TYPE_MASK: without the nested and byte order bits

size_t align4(size_t size) { return (size + 3) & ~size_t{3}; }

Result<UniqueFd> open_route_socket(uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return last_system_error("cannot open an rtnetlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("cannot bind an rtnetlink socket");
  }
  return fd;
}

// One datagram, or nullopt where none waits. What does not come from the kernel is dropped.
Result<std::optional<ByteVector>> receive(const UniqueFd& fd, int flags) {
  for (;;) {
    ByteVector buffer(kDatagram);
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    ssize_t n = ::recvfrom(fd.get(), buffer.data(), buffer.size(), flags | MSG_TRUNC,
                           reinterpret_cast<sockaddr*>(&from), &from_size);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return std::optional<ByteVector>();
      return last_system_error("cannot read from rtnetlink");
    }
    if (from.nl_pid != 0) continue;
    if (static_cast<size_t>(n) > buffer.size()) return Error("rtnetlink: a message is too large");
    buffer.resize(static_cast<size_t>(n));
    return std::optional<ByteVector>(std::move(buffer));
  }
}

struct Message {
  uint16_t type = 0;
  uint16_t flags = 0;
  uint32_t sequence = 0;
  ConstBytes body;
};

Result<Message> next_message(ByteReader& in) {
  Message message;
  uint32_t length = TRY(in.le32());
  message.type = TRY(in.le16());
  message.flags = TRY(in.le16());
  message.sequence = TRY(in.le32());
  TRY(in.skip(4));  // port
  if (length < NLMSG_HDRLEN) return Error("a netlink message shorter than its header");
  message.body = TRY(in.take(length - NLMSG_HDRLEN));
  // The last message may lack its padding.
  TRY(in.skip(std::min(align4(length) - length, in.rest().size())));
  return message;
}

// The errno of a NLMSG_ERROR; 0 is an acknowledgement.
Result<int> error_code(const Message& message) {
  ByteReader in(message.body);
  auto value = static_cast<int32_t>(TRY(in.le32()));
  if (value > 0 || value < -4095) return Error("a netlink error without a code");
  return -value;
}

std::optional<MacAddress> mac_of(ConstBytes value) {
  MacAddress mac;
  if (value.size() != mac.size()) return std::nullopt;
  std::copy(value.begin(), value.end(), mac.begin());
  return mac;
}

struct Attribute {
  uint16_t type = 0;
  ConstBytes value;
};

Result<Attribute> next_attribute(ByteReader& in) {
  Attribute attribute;
  uint16_t length = TRY(in.le16());
  attribute.type = TRY(in.le16()) & kTypeMask;
  if (length < 4) return Error("a netlink attribute shorter than its header");
  attribute.value = TRY(in.take(length - size_t{4}));
  TRY(in.skip(std::min(align4(length) - length, in.rest().size())));
  return attribute;
}

Result<Ipv4> ipv4_of(ConstBytes value) {
  ByteReader in(value);
  return Ipv4{TRY(in.be32())};
}

Result<uint32_t> number_of(ConstBytes value) {
  ByteReader in(value);
  return in.le32();
}

// struct ifaddrmsg; what is not IPv4 is passed over.
Result<void> parse_address(const Message& message, std::vector<AssignedAddress>& addresses) {
  AssignedAddress address;
  ByteReader in(message.body);
  if (TRY(in.u8()) != AF_INET) return {};
  address.prefix_length = TRY(in.u8());
  uint32_t flags = TRY(in.u8());
  TRY(in.skip(1));  // scope
  address.index = static_cast<int>(TRY(in.le32()));
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFA_LOCAL) address.address = TRY(ipv4_of(value));
    if (type == IFA_FLAGS) flags = TRY(number_of(value));
  }
  if (address.prefix_length > 32) return Error("an IPv4 prefix longer than 32");
  address.permanent = (flags & IFA_F_PERMANENT) != 0;
  addresses.push_back(address);
  return {};
}

// struct rtmsg; what is not a default IPv4 route of the main table is passed over.
Result<void> parse_default_route(const Message& message, std::vector<DefaultRoute>& routes) {
  DefaultRoute route;
  ByteReader in(message.body);
  if (TRY(in.u8()) != AF_INET) return {};
  uint8_t prefix_length = TRY(in.u8());
  TRY(in.skip(2));  // source prefix, TOS
  uint32_t table = TRY(in.u8());
  TRY(in.skip(2));  // protocol, scope
  uint8_t kind = TRY(in.u8());
  TRY(in.skip(4));  // flags
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == RTA_TABLE) table = TRY(number_of(value));
    if (type == RTA_PRIORITY) route.metric = TRY(number_of(value));
    if (type == RTA_OIF) route.index = static_cast<int>(TRY(number_of(value)));
    if (type == RTA_GATEWAY) route.gateway = TRY(ipv4_of(value));
  }
  if (prefix_length == 0 && table == RT_TABLE_MAIN && kind == RTN_UNICAST) routes.push_back(route);
  return {};
}

// The messages of one datagram: `take` gets those of type `wanted`. True when the dump has ended.
template <typename Take>
Result<bool> take_messages(ConstBytes datagram, std::initializer_list<uint16_t> wanted, Take take) {
  bool done = false;
  ByteReader in(datagram);
  while (!in.at_end()) {
    Message message = TRY(next_message(in));
    if (message.type == NLMSG_ERROR) {
      int code = TRY(error_code(message));
      if (code != 0) return system_error("rtnetlink", code);
    } else if (message.type == NLMSG_DONE) {
      done = true;
    } else if (std::find(wanted.begin(), wanted.end(), message.type) != wanted.end()) {
      TRY(take(message));
    }
  }
  return done;
}

// Appends the link; a bridge's view of a port says nothing about the link as such, and is left out.
Result<void> parse_link(const Message& message, std::vector<Link>& links) {
  Link link;
  link.change = message.type == RTM_DELLINK ? LinkChange::Removed : LinkChange::Present;
  ByteReader in(message.body);
  if (TRY(in.u8()) != AF_UNSPEC) return {};
  TRY(in.skip(1));
  link.ethernet = TRY(in.le16()) == ARPHRD_ETHER;
  link.index = static_cast<int>(TRY(in.le32()));
  uint32_t flags = TRY(in.le32());
  TRY(in.skip(4));  // change mask
  link.up = (flags & IFF_UP) != 0;
  link.carrier = (flags & IFF_LOWER_UP) != 0;
  link.loopback = (flags & IFF_LOOPBACK) != 0;
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFLA_IFNAME) {
      std::string_view name = as_text(value);
      name = name.substr(0, name.find('\0'));
      if (name.size() > kMaxInterfaceName) return Error("an interface name longer than 15");
      link.name = std::string(name);
    } else if (type == IFLA_ADDRESS) {
      link.mac = mac_of(value).value_or(MacAddress{});
    } else if (type == IFLA_PERM_ADDRESS) {
      link.permanent_mac = mac_of(value);
    } else if (type == IFLA_MASTER) {
      link.has_master = true;
    } else if (type == IFLA_MTU && value.size() == 4) {
      ByteReader mtu(value);
      link.mtu = TRY(mtu.le32());
    }
  }
  links.push_back(std::move(link));
  return {};
}

void add_attribute(ByteWriter& out, uint16_t type, uint32_t host_order) {
  out.le16(8);
  out.le16(type);
  out.le32(host_order);
}

void add_attribute(ByteWriter& out, uint16_t type, Ipv4 address) {
  out.le16(8);
  out.le16(type);
  out.be32(address.value);
}

// struct ifinfomsg
ByteWriter link_body(int index, uint32_t flags, uint32_t change) {
  ByteWriter out;
  out.u8(AF_UNSPEC);
  out.u8(0);
  out.le16(0);
  out.le32(static_cast<uint32_t>(index));
  out.le32(flags);
  out.le32(change);
  return out;
}

// struct ifaddrmsg
ByteWriter address_body(int index, Ipv4 address, uint8_t prefix_length) {
  ByteWriter out;
  out.u8(AF_INET);
  out.u8(prefix_length);
  out.u8(0);
  out.u8(RT_SCOPE_UNIVERSE);
  out.le32(static_cast<uint32_t>(index));
  add_attribute(out, IFA_LOCAL, address);
  add_attribute(out, IFA_ADDRESS, address);
  return out;
}

}  // namespace

Result<LinkBatch> parse_links(ConstBytes datagram) {
  LinkBatch batch;
  batch.done = TRY(take_messages(datagram, {RTM_NEWLINK, RTM_DELLINK}, [&](const Message& message) {
    return parse_link(message, batch.links);
  }));
  return batch;
}

Result<AddressBatch> parse_addresses(ConstBytes datagram) {
  AddressBatch batch;
  batch.done = TRY(take_messages(datagram, {RTM_NEWADDR}, [&](const Message& message) {
    return parse_address(message, batch.addresses);
  }));
  return batch;
}

Result<RouteBatch> parse_default_routes(ConstBytes datagram) {
  RouteBatch batch;
  batch.done = TRY(take_messages(datagram, {RTM_NEWROUTE}, [&](const Message& message) {
    return parse_default_route(message, batch.default_routes);
  }));
  return batch;
}

Result<RouteSocket> RouteSocket::open() { return RouteSocket(TRY(open_route_socket(0))); }

Result<void> RouteSocket::request(uint16_t type, uint16_t flags, ConstBytes body) {
  uint32_t sequence = ++sequence_;
  ByteWriter out;
  out.le32(static_cast<uint32_t>(NLMSG_HDRLEN + body.size()));
  out.le16(type);
  out.le16(static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags));
  out.le32(sequence);
  out.le32(0);
  out.append(body);
  TRY(write_all(fd_, out.bytes()));
  for (;;) {
    std::optional<ByteVector> datagram = TRY(receive(fd_, 0));
    if (!datagram) return Error("rtnetlink: no answer");
    ByteReader in(*datagram);
    while (!in.at_end()) {
      Message message = TRY(next_message(in));
      // What is left of an earlier, broken-off dump.
      if (message.sequence != sequence || message.type != NLMSG_ERROR) continue;
      int code = TRY(error_code(message));
      if (code != 0) return system_error("rtnetlink", code);
      return {};
    }
  }
}

template <typename Take>
Result<void> RouteSocket::dump(uint16_t type, ConstBytes body, Take take) {
  uint32_t sequence = ++sequence_;
  ByteWriter out;
  out.le32(static_cast<uint32_t>(NLMSG_HDRLEN + body.size()));
  out.le16(type);
  out.le16(NLM_F_REQUEST | NLM_F_DUMP);
  out.le32(sequence);
  out.le32(0);
  out.append(body);
  TRY(write_all(fd_, out.bytes()));
  bool done = false;
  while (!done) {
    std::optional<ByteVector> datagram = TRY(receive(fd_, 0));
    if (!datagram) return Error("rtnetlink: no answer");
    done = TRY(take(*datagram));
  }
  return {};
}

Result<std::vector<Link>> RouteSocket::links() {
  std::vector<Link> all;
  TRY(dump(RTM_GETLINK, link_body(0, 0, 0).bytes(), [&](ConstBytes datagram) -> Result<bool> {
    LinkBatch batch = TRY(parse_links(datagram));
    for (Link& link : batch.links) all.push_back(std::move(link));
    if (all.size() > kMaxLinks) return Error("more than 4096 network interfaces");
    return batch.done;
  }));
  return all;
}

Result<std::vector<AssignedAddress>> RouteSocket::addresses() {
  std::vector<AssignedAddress> all;
  ByteWriter body;  // struct ifaddrmsg
  body.u8(AF_INET);
  body.zeros(7);
  TRY(dump(RTM_GETADDR, body.bytes(), [&](ConstBytes datagram) -> Result<bool> {
    AddressBatch batch = TRY(parse_addresses(datagram));
    all.insert(all.end(), batch.addresses.begin(), batch.addresses.end());
    if (all.size() > kMaxAddresses) return Error("more than 65536 addresses");
    return batch.done;
  }));
  return all;
}

Result<std::vector<DefaultRoute>> RouteSocket::default_routes() {
  std::vector<DefaultRoute> all;
  ByteWriter body;  // struct rtmsg
  body.u8(AF_INET);
  body.zeros(11);
  TRY(dump(RTM_GETROUTE, body.bytes(), [&](ConstBytes datagram) -> Result<bool> {
    RouteBatch batch = TRY(parse_default_routes(datagram));
    all.insert(all.end(), batch.default_routes.begin(), batch.default_routes.end());
    if (all.size() > kMaxAddresses) return Error("more than 65536 default routes");
    return batch.done;
  }));
  return all;
}

Result<void> RouteSocket::set_up(int index) {
  return request(RTM_NEWLINK, 0, link_body(index, IFF_UP, IFF_UP).bytes());
}

Result<void> RouteSocket::set_down(int index) {
  return request(RTM_NEWLINK, 0, link_body(index, 0, IFF_UP).bytes());
}

Result<void> RouteSocket::set_mtu(int index, uint32_t mtu) {
  ByteWriter body = link_body(index, 0, 0);
  add_attribute(body, IFLA_MTU, mtu);
  return request(RTM_NEWLINK, 0, body.bytes());
}

Result<void> RouteSocket::add_address(int index, Ipv4 address, uint8_t prefix_length,
                                      std::optional<Ipv4> broadcast) {
  ByteWriter body = address_body(index, address, prefix_length);
  if (broadcast) add_attribute(body, IFA_BROADCAST, *broadcast);
  add_attribute(body, IFA_FLAGS, uint32_t{IFA_F_NOPREFIXROUTE});
  return request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body.bytes());
}

Result<void> RouteSocket::remove_address(int index, Ipv4 address, uint8_t prefix_length) {
  return request(RTM_DELADDR, 0, address_body(index, address, prefix_length).bytes());
}

Result<void> RouteSocket::add_route(int index, const Route& route) {
  ByteWriter body;  // struct rtmsg
  body.u8(AF_INET);
  body.u8(route.prefix_length);
  body.u8(0);
  body.u8(0);
  body.u8(RT_TABLE_MAIN);
  body.u8(RTPROT_DHCP);
  body.u8(route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  body.u8(RTN_UNICAST);
  body.le32(route.gateway ? RTNH_F_ONLINK : 0);
  if (route.prefix_length > 0) add_attribute(body, RTA_DST, route.destination);
  if (route.gateway) add_attribute(body, RTA_GATEWAY, *route.gateway);
  if (route.preferred) add_attribute(body, RTA_PREFSRC, *route.preferred);
  add_attribute(body, RTA_OIF, static_cast<uint32_t>(index));
  if (route.metric != 0) add_attribute(body, RTA_PRIORITY, route.metric);
  Result<void> added = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body.bytes());
  if (!added.ok() && added.error().code() != EEXIST) return added;
  return {};
}

Result<LinkMonitor> LinkMonitor::open() {
  LinkMonitor monitor(TRY(open_route_socket(RTMGRP_LINK)));
  int size = kEventBuffer;
  // Without the capability the default buffer serves; ENOBUFS is handled anyway.
  [[maybe_unused]] int ignored =
      ::setsockopt(monitor.fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return monitor;
}

Result<std::vector<Link>> LinkMonitor::changes() {
  std::vector<Link> all;
  while (all.size() < kMaxLinks) {
    std::optional<ByteVector> datagram = TRY(receive(fd_, MSG_DONTWAIT));
    if (!datagram) break;
    LinkBatch batch = TRY(parse_links(*datagram));
    for (Link& link : batch.links) all.push_back(std::move(link));
  }
  return all;
}

}  // namespace curlingiron
