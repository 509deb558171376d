// Links, addresses and routes by rtnetlink (rtnetlink(7)), without a library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

enum class LinkChange { Present, Removed };

// A network interface as RTM_NEWLINK and RTM_DELLINK describe it.
struct Link {
  LinkChange change = LinkChange::Present;
  int index = 0;
  bool ethernet = false;  // ARPHRD_ETHER
  bool up = false;        // IFF_UP
  bool carrier = false;   // IFF_LOWER_UP
  bool loopback = false;
  bool has_master = false;  // enslaved: a bond's or a synthetic NIC's lower device
  uint32_t mtu = 0;
  std::string name;
  MacAddress mac{};
  std::optional<MacAddress> permanent_mac;
};

// Every link message in one datagram from the kernel; messages of other kinds are passed over. A
// NLMSG_ERROR is an error with its errno. `done` says that a dump has ended.
struct LinkBatch {
  std::vector<Link> links;
  bool done = false;
};
Result<LinkBatch> parse_links(ConstBytes datagram);

// An IPv4 address of an interface, as RTM_NEWADDR describes it.
struct AssignedAddress {
  int index = 0;  // of the interface
  Ipv4 address;
  uint8_t prefix_length = 0;
  bool permanent = false;  // IFA_F_PERMANENT: without a lifetime, so nobody leased it
};

// A default IPv4 route of the main table, as RTM_NEWROUTE describes it.
struct DefaultRoute {
  int index = 0;  // of the interface
  std::optional<Ipv4> gateway;
  uint32_t metric = 0;
};

// One datagram of a dump; messages of other kinds are passed over, NLMSG_ERROR is an error.
struct AddressBatch {
  std::vector<AssignedAddress> addresses;
  bool done = false;
};
Result<AddressBatch> parse_addresses(ConstBytes datagram);
struct RouteBatch {
  std::vector<DefaultRoute> default_routes;
  bool done = false;
};
Result<RouteBatch> parse_default_routes(ConstBytes datagram);

struct Route {
  Ipv4 destination;
  uint8_t prefix_length = 0;
  std::optional<Ipv4> gateway;    // nullopt: scope link
  std::optional<Ipv4> preferred;  // source address of what is sent
  uint32_t metric = 0;
};

// Requests; each waits for the kernel's answer, which is immediate.
class RouteSocket {
 public:
  static Result<RouteSocket> open();

  Result<std::vector<Link>> links();
  Result<std::vector<AssignedAddress>> addresses();
  Result<std::vector<DefaultRoute>> default_routes();
  Result<void> set_up(int index);
  Result<void> set_down(int index);
  Result<void> set_mtu(int index, uint32_t mtu);
  // Without the kernel's own route for the prefix. An address that is there already is updated.
  Result<void> add_address(int index, Ipv4 address, uint8_t prefix_length,
                           std::optional<Ipv4> broadcast);
  Result<void> remove_address(int index, Ipv4 address, uint8_t prefix_length);
  // Gateways are taken as on-link (RTNH_F_ONLINK): a /32 address has no other way to reach one. A
  // route that is there already is fine.
  Result<void> add_route(int index, const Route& route);

 private:
  explicit RouteSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> request(uint16_t type, uint16_t flags, ConstBytes body);
  // Sends a dump request and hands each datagram of the answer to `take`, which says when it was
  // the last.
  template <typename Take>
  Result<void> dump(uint16_t type, ConstBytes body, Take take);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// What happens to links, as it happens.
class LinkMonitor {
 public:
  static Result<LinkMonitor> open();

  // The changes that are waiting, in order; none is fine. ENOBUFS (in the error's code): changes
  // were lost, list the links again.
  Result<std::vector<Link>> changes();
  int fd() const { return fd_.get(); }

 private:
  explicit LinkMonitor(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
