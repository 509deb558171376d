// IPv6 on one link: what routers say, DHCPv6 where they ask for it, and the running system's
// addresses where no router answers. Addresses and routes of router advertisements are the kernel's
// own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "formats/dhcp6.h"
#include "formats/netlink/types.h"
#include "net/join/dhcp6_client.h"
#include "net/join/kernel_link.h"
#include "net/join/link_plan.h"
#include "net/join/router_state.h"
#include "sys/fd.h"
#include "sys/icmp6_socket.h"
#include "sys/udp6_socket.h"

namespace curlingiron {

class Ipv6OnLink {
 public:
  // Both outlive it.
  Ipv6OnLink(KernelLink& link, const LinkPlan& plan) : link_(link), plan_(plan) {}

  void start(Time time);  // listens to routers, and asks them to speak; with carrier
  void on_carrier(bool carrier, Time time);
  // Whether the link has an address of its own that it may send from.
  void on_link_local(bool there, Time time);
  void on_duplicate(const Ipv6& address, Time time);
  // `usable`: packets to elsewhere have a source address.
  void on_time(Time time, bool usable);
  std::optional<Time> wake(bool usable) const;
  void add_descriptors(std::vector<PollItem>& items) const;
  void hear(Time time);
  void leave();

  const RouterState& routers() const { return state_; }
  const std::optional<Dhcp6Lease>& lease() const { return lease_; }
  bool is_leased(const Ipv6& address) const;
  // The running system's addresses are in force.
  bool uses_previous() const { return previous_set_; }
  std::string progress() const;  // why there is no address

 private:
  void solicit(Time time);
  void hear_routers(Time time);
  void start_dhcp(Dhcp6Mode mode, Time time);
  void act(const Dhcp6Actions& actions);
  Result<void> send(ConstBytes message);
  void hear_dhcp(Time time);
  void take(const Dhcp6Lease& lease);
  void drop();
  AssignedAddress leased_address(const Dhcp6Address& leased) const;
  bool may_fall_back(bool usable) const;

  KernelLink& link_;
  const LinkPlan& plan_;
  bool has_link_local_ = false;
  std::optional<Time> carrier_since_;
  std::optional<Icmp6Socket> socket_;
  RouterState state_;
  unsigned solicitations_ = 0;
  std::optional<Time> solicit_at_;
  Duration solicit_pause_{};
  std::optional<Dhcp6Client> client_;
  std::optional<Udp6Socket> datagrams_;
  std::optional<Time> client_wake_;
  std::optional<Dhcp6Lease> lease_;
  bool previous_set_ = false;
};

}  // namespace curlingiron
