// One interface on its way into the network: addresses as they were planned, leases of DHCP, the
// word of routers. What the kernel does by itself (SLAAC, routes of router advertisements) is
// watched, not done again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "net/dns/resolver.h"
#include "net/join/dhcp6_client.h"
#include "net/join/dhcp_client.h"
#include "net/join/link_plan.h"
#include "sys/fd.h"
#include "sys/icmp6_socket.h"
#include "sys/packet_socket.h"
#include "sys/route_socket.h"
#include "sys/udp6_socket.h"

namespace curlingiron {

// What all ports have in common.
struct PortContext {
  const UniqueFd& root;  // holds proc/
  RouteSocket& routes;
  std::string hostname;  // sent to DHCP servers; empty: none
  uint32_t mtu = 0;      // goes before every other; 0: none was given
};

class Port {
 public:
  // `metric` is that of the routes a DHCP server gives: the lowest is preferred.
  Port(const PortContext& context, const Link& link, LinkPlan plan, std::string driver,
       uint32_t metric);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // --- what happens
  // Before the link is up for the first time: MTU, MAC address and how the kernel is to treat
  // routers.
  void prepare();
  void bring_up(Time time);
  void see(const Link& link, Time time);
  void see(const AssignedAddress& address, Time time);
  // All addresses as listed, after changes were lost.
  void see_all(const std::vector<AssignedAddress>& addresses, Time time);
  void on_time(Time time);
  // The planned addresses, where the plan lets them float.
  void take_planned();
  void release_planned();
  // All else failed: DHCP and routers are listened to, whatever the plan says.
  void try_everything(Time time);
  // Whether a lease goes before a planned address, then.
  void prefer_learnt(bool preferred) { prefers_learnt_ = preferred; }
  // Addresses and leases go.
  void leave();

  // --- the event loop
  std::optional<Time> wake() const;
  void add_descriptors(std::vector<PollItem>& items) const;
  void hear(Time time);  // reads all that has come

  // --- how far it got
  const Link& link() const { return link_; }
  const LinkPlan& plan() const { return plan_; }
  bool carrier() const { return link_.up && link_.carrier; }
  std::string label() const;  // "eth0 (e1000)"
  // An address that packets to elsewhere can have as their source; one that is not link-local goes
  // before one that is.
  std::optional<AssignedAddress> usable(Family family) const;
  bool reaches(const IpAddress& host) const;              // it lies in a prefix of an address here
  std::string via(const AssignedAddress& address) const;  // "dhcp4", "dhcp6", "ra", "static"
  std::optional<IpAddress> gateway(Family family) const;  // as DHCP or a router told it
  std::vector<NameServer> name_servers(Time time) const;  // learnt here
  std::vector<std::string> search_domains(Time time) const;  // learnt here
  // Which of the configured addresses and routes are in force.
  bool has_set(Origin origin) const;
  // A DHCP server is asked, and none has given anything; what is used was told before.
  bool waits_for_lease() const { return dhcp4_ && !lease4_; }
  std::string report() const;  // why there is nothing at all; empty: there is
  std::string report(Family family) const;

 private:
  struct Leased {
    AssignedAddress address;
    std::vector<Route> routes;
    DhcpLease lease;
  };
  struct RouterWord;

  // IPv4
  void start_dhcp4(Time time);
  void act(const DhcpActions& actions, Time time);
  void send(const DhcpMessage& message);
  void probe(Ipv4 address);
  bool may_fall_back4() const;
  void hear_dhcp4(Time time);
  void hear_arp(Time time);
  void take_lease(const DhcpLease& lease);
  void drop_other_than(const Leased& taken);
  void drop_lease();
  // IPv6
  void start_router_discovery(Time time);
  void solicit(Time time);
  void hear_routers(Time time);
  void start_dhcp6(Dhcp6Mode mode, Time time);
  void act(const Dhcp6Actions& actions, Time time);
  Result<void> send6(ConstBytes message);
  void hear_dhcp6(Time time);
  void take_lease6(const Dhcp6Lease& lease, Time time);
  void drop_lease6();
  AssignedAddress leased_address(const Dhcp6Address& leased) const;
  // Either
  void carrier_changed(Time time);
  void set_planned(const std::vector<AddressConfig>& addresses);
  void unset_planned(const std::vector<AddressConfig>& addresses);
  void fall_back(Time time);
  void set_mtu(uint32_t mtu);
  void set_kernel(std::string_view family, std::string_view name, std::string_view value);
  bool has_link_local() const;
  void retry_later(Time time, std::string trouble);

  const PortContext& context_;
  Link link_;
  LinkPlan plan_;
  std::string driver_;
  uint32_t metric_;
  std::string trouble_;           // what the kernel refused
  std::optional<Time> retry_at_;  // to try that again
  std::optional<Time> carrier_since_;
  std::optional<Time> lease_wanted_since_;  // with carrier, and without a lease
  std::vector<AssignedAddress> addresses_;  // that the kernel has
  bool planned_set_ = false;
  bool prefers_learnt_ = false;
  bool leased4_taken_ = false;  // somebody else has an address of it
  bool leased4_set_ = false;    // the running system's lease is in force without a server
  bool leased6_set_ = false;

  std::optional<DhcpClient> dhcp4_;
  std::optional<PacketSocket> packets_;
  std::optional<ArpSocket> arp_;
  std::optional<DatagramSocket> datagrams_;
  std::optional<Time> dhcp4_wake_;
  std::optional<Leased> lease4_;

  std::optional<Icmp6Socket> routers_;
  std::unique_ptr<RouterWord> word_;
  unsigned solicitations_ = 0;
  std::optional<Time> solicit_at_;
  Duration solicit_pause_{};
  std::optional<Dhcp6Client> dhcp6_;
  std::optional<Udp6Socket> datagrams6_;
  std::optional<Time> dhcp6_wake_;
  std::optional<Dhcp6Lease> lease6_;
};

}  // namespace curlingiron
