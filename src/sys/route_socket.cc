#include "sys/route_socket.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <iterator>

#include "base/text.h"
#include "base/units.h"
#include "formats/netlink/address.h"
#include "formats/netlink/link.h"
#include "formats/netlink/message.h"
#include "formats/netlink/route.h"
#include "formats/netlink/rule.h"

namespace curlingiron {
namespace {

constexpr size_t kDatagram = 64_KiB;    // the kernel's dumps use at most 32 KiB
constexpr int kEventBuffer = 1 << 20;   // bytes
constexpr size_t kMostItems = 1 << 20;  // of one dump: a full table of routes
constexpr size_t kMostChanges = 4096;   // at a time
constexpr unsigned kMostDumps = 10;     // of what changes all the time

// Sizes of the headers of dump requests: struct ifinfomsg, ifaddrmsg, rtmsg, fib_rule_hdr, ndmsg.
constexpr size_t kLinkHeader = 16;
constexpr size_t kAddressHeader = 8;
constexpr size_t kRouteHeader = 12;
constexpr size_t kRuleHeader = 12;
constexpr size_t kNeighbourHeader = 12;

Result<UniqueFd> open_route_socket(uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return last_system_error("cannot open an rtnetlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("cannot bind an rtnetlink socket");
  }
  // Reasons in words (Linux 4.12), without the request coming back: an error is one without them.
  int on = 1;
  for (int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    [[maybe_unused]] int ignored = ::setsockopt(fd.get(), SOL_NETLINK, option, &on, sizeof on);
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

}  // namespace

Result<RouteSocket> RouteSocket::open() { return RouteSocket(TRY(open_route_socket(0))); }

Result<void> RouteSocket::send(uint16_t type, uint16_t flags, ConstBytes body) {
  return write_all(
      fd_, format_message(type, static_cast<uint16_t>(NLM_F_REQUEST | flags), ++sequence_, body));
}

Result<void> RouteSocket::request(uint16_t type, uint16_t flags, ConstBytes body) {
  TRY(send(type, static_cast<uint16_t>(NLM_F_ACK | flags), body));
  for (;;) {
    std::optional<ByteVector> datagram = TRY(receive(fd_, 0));
    if (!datagram) return Error("rtnetlink: no answer");
    ByteReader in(*datagram);
    while (!in.at_end()) {
      NetlinkMessage message = TRY(next_message(in));
      // Others are what is left of an earlier, broken-off dump.
      if (message.sequence == sequence_ && message.type == NLMSG_ERROR) {
        return parse_answer(message);
      }
    }
  }
}

template <typename T>
Result<std::vector<T>> RouteSocket::dump(uint16_t type, size_t body_size,
                                         Result<Batch<T>> (*parse)(ConstBytes datagram)) {
  for (unsigned attempt = 1;; ++attempt) {
    // All families: a header of zeros.
    TRY(send(type, NLM_F_DUMP, ByteVector(body_size)));
    std::vector<T> all;
    bool done = false;
    bool interrupted = false;
    while (!done) {
      std::optional<ByteVector> datagram = TRY(receive(fd_, 0));
      if (!datagram) return Error("rtnetlink: no answer");
      ByteReader in(*datagram);
      if (TRY(next_message(in)).sequence != sequence_) continue;
      Batch<T> batch = TRY(parse(*datagram));
      std::move(batch.items.begin(), batch.items.end(), std::back_inserter(all));
      if (all.size() > kMostItems)
        return Error(concat("rtnetlink: a list of more than ", kMostItems));
      done = batch.done;
      interrupted = interrupted || batch.interrupted;
    }
    if (!interrupted || attempt == kMostDumps) return all;
  }
}

Result<std::vector<Link>> RouteSocket::links() {
  return dump(RTM_GETLINK, kLinkHeader, parse_links);
}

Result<std::vector<AssignedAddress>> RouteSocket::addresses() {
  return dump(RTM_GETADDR, kAddressHeader, parse_addresses);
}

Result<std::vector<Route>> RouteSocket::routes() {
  return dump(RTM_GETROUTE, kRouteHeader, parse_routes);
}

Result<std::vector<Rule>> RouteSocket::rules() {
  return dump(RTM_GETRULE, kRuleHeader, parse_rules);
}

Result<std::vector<Neighbour>> RouteSocket::neighbours() {
  return dump(RTM_GETNEIGH, kNeighbourHeader, parse_neighbours);
}

Result<void> RouteSocket::set_up(int index) {
  return request(RTM_NEWLINK, 0, format_link(index, IFF_UP, IFF_UP).bytes());
}

Result<void> RouteSocket::set_down(int index) {
  return request(RTM_NEWLINK, 0, format_link(index, 0, IFF_UP).bytes());
}

Result<void> RouteSocket::set_mtu(int index, uint32_t mtu) {
  ByteWriter body = format_link(index, 0, 0);
  add_number(body, IFLA_MTU, mtu);
  return request(RTM_NEWLINK, 0, body.bytes());
}

Result<void> RouteSocket::set_mac(int index, const MacAddress& mac) {
  ByteWriter body = format_link(index, 0, 0);
  add_attribute(body, IFLA_ADDRESS, ConstBytes(mac));
  return request(RTM_NEWLINK, 0, body.bytes());
}

Result<void> RouteSocket::rename(int index, const std::string& name) {
  ByteWriter body = format_link(index, 0, 0);
  add_attribute(body, IFLA_IFNAME, name);
  return request(RTM_NEWLINK, 0, body.bytes());
}

Result<void> RouteSocket::set_master(int index, int master) {
  ByteWriter body = format_link(index, 0, 0);
  add_number(body, IFLA_MASTER, static_cast<uint32_t>(master));
  return request(RTM_NEWLINK, 0, body.bytes());
}

Result<int> RouteSocket::create_link(const std::string& name, ConstBytes body) {
  TRY(request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body));
  for (const Link& link : TRY(links())) {
    if (link.name == name) return link.index;
  }
  return Error(concat(name, " has gone again"), ENODEV);
}

Result<int> RouteSocket::create_vlan(const std::string& name, int lower,
                                     const VlanOptions& options) {
  return create_link(name, format_vlan(name, lower, options));
}

Result<int> RouteSocket::create_bond(const std::string& name, const BondOptions& options,
                                     int primary) {
  return create_link(name, format_bond(name, options, primary));
}

Result<void> RouteSocket::remove_link(int index) {
  return request(RTM_DELLINK, 0, format_link(index, 0, 0).bytes());
}

Result<void> RouteSocket::add_address(const AssignedAddress& address) {
  return request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, format_address(address));
}

Result<void> RouteSocket::remove_address(const AssignedAddress& address) {
  return request(RTM_DELADDR, 0, format_address(address));
}

Result<void> RouteSocket::add_route(const Route& route, Rival rival) {
  uint16_t flags = rival == Rival::Replaced ? NLM_F_REPLACE : NLM_F_APPEND;
  Result<void> added =
      request(RTM_NEWROUTE, static_cast<uint16_t>(NLM_F_CREATE | flags), format_route(route));
  if (!added.ok() && added.error().code() != EEXIST) return added;
  return {};
}

Result<void> RouteSocket::remove_route(const Route& route) {
  return request(RTM_DELROUTE, 0, format_route(route));
}

Result<void> RouteSocket::add_rule(const Rule& rule) {
  Result<void> added = request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, format_rule(rule));
  if (!added.ok() && added.error().code() != EEXIST) return added;
  return {};
}

Result<void> RouteSocket::remove_rule(const Rule& rule) {
  return request(RTM_DELRULE, 0, format_rule(rule));
}

Result<void> RouteSocket::add_neighbour(const Neighbour& neighbour) {
  return request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, format_neighbour(neighbour));
}

Result<void> RouteSocket::remove_neighbour(const Neighbour& neighbour) {
  return request(RTM_DELNEIGH, 0, format_neighbour(neighbour));
}

Result<NetworkMonitor> NetworkMonitor::open() {
  NetworkMonitor monitor(TRY(open_route_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                               RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE)));
  int size = kEventBuffer;
  // Without the capability the default buffer serves; ENOBUFS is handled anyway.
  [[maybe_unused]] int ignored =
      ::setsockopt(monitor.fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return monitor;
}

Result<NetworkMonitor::Changes> NetworkMonitor::changes() {
  Changes changes;
  std::vector<Route> routes;
  auto take = [&](const NetlinkMessage& message) -> Result<void> {
    switch (message.type) {
      case RTM_NEWLINK:
      case RTM_DELLINK: return parse_link(message, changes.links);
      case RTM_NEWADDR:
      case RTM_DELADDR: return parse_address(message, changes.addresses);
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        TRY(parse_route(message, routes));
        Change change = message.type == RTM_DELROUTE ? Change::Removed : Change::Present;
        for (Route& route : routes) changes.routes.emplace_back(change, std::move(route));
        routes.clear();
        return {};
      }
      default: return {};
    }
  };
  while (changes.links.size() + changes.addresses.size() + changes.routes.size() < kMostChanges) {
    std::optional<ByteVector> datagram = TRY(receive(fd_, MSG_DONTWAIT));
    if (!datagram) break;
    bool done = false;
    bool interrupted = false;
    TRY(each_message(*datagram, done, interrupted, take));
  }
  return changes;
}

}  // namespace curlingiron
