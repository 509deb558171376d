// Links, addresses, routes, rules and neighbours by rtnetlink (rtnetlink(7)), without a library.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/batch.h"
#include "formats/netlink/types.h"
#include "sys/fd.h"

namespace curlingiron {

// What becomes of a route to the same destination with the same metric that is there already.
enum class Rival { Replaced, Kept };

// Requests; each waits for the kernel's answer, which is immediate.
class RouteSocket {
 public:
  static Result<RouteSocket> open();

  // Both families, all tables.
  Result<std::vector<Link>> links();
  Result<std::vector<AssignedAddress>> addresses();
  Result<std::vector<Route>> routes();
  Result<std::vector<Rule>> rules();
  Result<std::vector<Neighbour>> neighbours();

  Result<void> set_up(int index);
  Result<void> set_down(int index);
  Result<void> set_mtu(int index, uint32_t mtu);
  Result<void> set_mac(int index, const MacAddress& mac);
  Result<void> rename(int index, const std::string& name);  // while it is down
  // 0: none. A bond takes only members that are down.
  Result<void> set_master(int index, int master);
  // The new link's index. EOPNOTSUPP: the kernel has no such links.
  Result<int> create_vlan(const std::string& name, int lower, const VlanOptions& options);
  // `primary`: index of the member that is preferred; it need not be enslaved yet.
  Result<int> create_bond(const std::string& name, const BondOptions& options, int primary = 0);
  Result<void> remove_link(int index);

  // As it is, with its IFA_F_* as far as they can be set. One that is there already is updated.
  Result<void> add_address(const AssignedAddress& address);
  Result<void> remove_address(const AssignedAddress& address);
  // The same route being there already is fine.
  Result<void> add_route(const Route& route, Rival rival = Rival::Replaced);
  Result<void> remove_route(const Route& route);
  Result<void> add_rule(const Rule& rule);  // the same rule being there already is fine
  Result<void> remove_rule(const Rule& rule);
  // In its state; NUD_PERMANENT where that is 0. One that is there already is replaced.
  Result<void> add_neighbour(const Neighbour& neighbour);
  Result<void> remove_neighbour(const Neighbour& neighbour);

 private:
  explicit RouteSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> request(uint16_t type, uint16_t flags, ConstBytes body);
  Result<void> send(uint16_t type, uint16_t flags, ConstBytes body);
  Result<int> create_link(const std::string& name, ConstBytes body);
  // Sends a dump request and collects the answer; again where it was interrupted.
  template <typename T>
  Result<std::vector<T>> dump(uint16_t type, size_t body_size,
                              Result<Batch<T>> (*parse)(ConstBytes datagram));

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// What happens to links, addresses and IPv6 routes, as it happens.
class NetworkMonitor {
 public:
  static Result<NetworkMonitor> open();

  // Each kind in the order in which it happened.
  struct Changes {
    std::vector<Link> links;
    std::vector<AssignedAddress> addresses;
    std::vector<std::pair<Change, Route>> routes;
  };
  // The changes that are waiting; none is fine. ENOBUFS (in the error's code): changes were lost,
  // list everything again.
  Result<Changes> changes();
  int fd() const { return fd_.get(); }

 private:
  explicit NetworkMonitor(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
