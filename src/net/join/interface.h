// One interface on its way into the network: addresses as they were planned, leases of DHCP, what
// routers say. What the kernel does by itself (SLAAC, routes of router advertisements) is watched,
// not done again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "net/dns/resolver.h"
#include "net/join/dhcp4_on_link.h"
#include "net/join/ipv6_on_link.h"
#include "net/join/kernel_link.h"
#include "net/join/link_plan.h"
#include "sys/fd.h"

namespace curlingiron {

class Interface {
 public:
  // `metric` is that of the routes a DHCP server gives: the lowest is preferred.
  Interface(const InterfaceContext& context, const Link& link, LinkPlan plan, std::string driver,
            uint32_t metric);
  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;

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
  const Link& link() const { return link_.now(); }
  const LinkPlan& plan() const { return plan_; }
  bool carrier() const { return link().up && link().carrier; }
  std::string label() const { return link_.label(); }  // "eth0 (e1000)"
  // An address that packets to elsewhere can have as their source; one that is not link-local goes
  // before one that is.
  std::optional<AssignedAddress> usable(Family family) const;
  bool reaches(const IpAddress& host) const;              // it lies in a prefix of an address here
  std::string via(const AssignedAddress& address) const;  // "dhcp4", "dhcp6", "ra", "static"
  std::optional<IpAddress> gateway(Family family) const;  // as DHCP or a router named it
  std::vector<NameServer> name_servers(Time time) const;  // learnt here
  std::vector<std::string> search_domains(Time time) const;  // learnt here
  bool has_lease() const { return ipv4_.address().has_value(); }
  const std::string& settings() const { return ipv4_.lease().settings; }  // of a DHCP server
  // Which of the configured addresses and routes are in force.
  bool has_set(Origin origin) const;
  // A DHCP server is asked, and none has given anything; what is used is older.
  bool waits_for_lease() const { return ipv4_.waits(); }
  std::string report() const;  // why there is nothing at all; empty: there is
  std::string report(Family family) const;

 private:
  void carrier_changed(Time time);
  void start(Time time);
  bool listens_to_routers() const {
    return plan_.ipv6 == Ipv6Plan::Auto || plan_.ipv6 == Ipv6Plan::Dhcp6;
  }
  bool has_link_local() const;

  LinkPlan plan_;
  KernelLink link_;
  std::vector<AssignedAddress> addresses_;  // that the kernel has
  bool planned_set_ = false;
  bool prefers_learnt_ = false;
  Dhcp4OnLink ipv4_;
  Ipv6OnLink ipv6_;
};

}  // namespace curlingiron
