// DHCPv4 on one link: the client's sockets, its lease in the kernel, and the running system's lease
// where no server answers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "formats/dhcp.h"
#include "formats/netlink/types.h"
#include "net/join/dhcp_client.h"
#include "net/join/kernel_link.h"
#include "net/join/link_plan.h"
#include "sys/fd.h"
#include "sys/packet_socket.h"

namespace curlingiron {

class Dhcp4OnLink {
 public:
  // Both outlive it. `metric` is that of the routes that a server gives.
  Dhcp4OnLink(KernelLink& link, const LinkPlan& plan, uint32_t metric)
      : link_(link), plan_(plan), metric_(metric) {}

  void start(Time time);  // with carrier
  // The link has, or has lost, its carrier. A server that is asked has six seconds from then on.
  void on_carrier(bool carrier, Time time);
  // Not by us: what is leased is set again.
  void on_address_removed(const AssignedAddress& address);
  void on_time(Time time);
  std::optional<Time> wake() const;
  void add_descriptors(std::vector<PollItem>& items) const;
  void hear(Time time);
  void leave();

  const std::optional<AssignedAddress>& address() const { return address_; }
  const DhcpLease& lease() const { return lease_; }  // of address()
  std::optional<IpAddress> gateway() const;
  // The running system's lease is in force.
  bool uses_previous() const { return previous_set_; }
  // A server is asked, and none has given anything; what is used is older.
  bool waits() const { return client_ && !address_; }
  std::optional<std::string> progress() const;  // nullopt: no server is asked

 private:
  void act(const DhcpActions& actions, Time time);
  void send(const DhcpMessage& message);
  void probe(Ipv4 address);
  void probe_previous();
  bool may_fall_back() const;
  void hear_packets(Time time);
  void hear_arp(Time time);
  void take(const DhcpLease& lease);
  void drop_other_than(const AssignedAddress& address, const std::vector<Route>& routes);
  void drop();

  KernelLink& link_;
  const LinkPlan& plan_;
  uint32_t metric_;
  std::optional<DhcpClient> client_;
  std::optional<PacketSocket> packets_;
  std::optional<ArpSocket> arp_;
  std::optional<DatagramSocket> datagrams_;
  std::optional<Time> client_wake_;
  std::optional<Time> wanted_since_;  // with carrier, and without a lease
  std::optional<AssignedAddress> address_;
  DhcpLease lease_;
  std::vector<Route> routes_;
  bool previous_taken_ = false;  // somebody else has an address of the running system's lease
  bool previous_set_ = false;
};

}  // namespace curlingiron
