// What one interface shall have, out of the network that was configured or captured. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "formats/netlink/types.h"
#include "formats/network_config.h"

namespace curlingiron {

enum class Ipv6Plan {
  Off,         // the kernel makes no address but the link-local one
  StaticOnly,  // no router is listened to
  Auto,        // as the router says: SLAAC, DHCPv6
  Dhcp6,       // DHCPv6 whatever the router says
};

struct LinkPlan {
  std::string name;  // in the configuration; that of the kernel where the configuration has none
  std::string config_name;  // the statement that is about it; empty: none, or one about every NIC
  std::string bond;         // that it is a member of; empty: none
  bool wanted = false;      // false: it is not mentioned, and is left alone unless all else fails
  uint32_t mtu = 0;         // 0: as it is
  std::optional<MacAddress> set_mac;
  bool floating = false;  // `addresses` are meant for whichever NIC leads to the source
  bool dhcp4 = false;
  Ipv6Plan ipv6 = Ipv6Plan::Off;
  // Set at once.
  std::vector<AddressConfig> addresses;
  // What a server gave the running system before: set where none gives anything now.
  std::vector<AddressConfig> leased4;
  std::vector<AddressConfig> leased6;

  // The address to ask a DHCP server for.
  std::optional<Ipv4> previous() const;
};

// The statement about `link`; null where there is none. A MAC address decides before a name, and
// one without either is about every NIC.
const LinkConfig* find_link(const NetworkConfig& config, const Link& link);

// All that the configuration says about `link`; DHCP and the routers' word on every NIC where it
// says nothing at all.
LinkPlan plan_link(const NetworkConfig& config, const Link& link);

// A VLAN of the configuration lies on the link of this name.
bool is_lower(const NetworkConfig& config, std::string_view name);
// The interface is made by the configuration, and not by hardware.
bool is_virtual(const LinkConfig& link);
// The bond that this link is to be enslaved to; null: none.
const LinkConfig* find_bond_of(const NetworkConfig& config, const Link& link);

}  // namespace curlingiron
