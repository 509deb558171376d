// What a VLAN and a bond are made with, as values: the kernel's terms, shared by who reads them
// from the kernel and who reads them from text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace curlingiron {

// As the kernel numbers them (Documentation/networking/bonding.rst).
enum class BondMode : uint8_t {
  BalanceRr = 0,
  ActiveBackup = 1,
  BalanceXor = 2,
  Broadcast = 3,
  Ieee8023ad = 4,
  BalanceTlb = 5,
  BalanceAlb = 6,
};

// Absent: the kernel's default. Times are in milliseconds unless the kernel counts otherwise.
struct BondOptions {
  using Number = std::optional<uint32_t>;

  BondMode mode = BondMode::BalanceRr;
  Number miimon, updelay, downdelay;
  Number lacp_rate;    // 0 slow, 1 fast
  Number lacp_active;  // 0 off, 1 on
  Number
      xmit_hash_policy;  // 0 layer2, 1 layer3+4, 2 layer2+3, 3 encap2+3, 4 encap3+4, 5 vlan+srcmac
  Number ad_select;      // 0 stable, 1 bandwidth, 2 count
  Number ad_actor_sys_prio, ad_user_port_key;
  Number fail_over_mac;     // 0 none, 1 active, 2 follow
  Number primary_reselect;  // 0 always, 1 better, 2 failure
  Number min_links, resend_igmp, num_peer_notif, peer_notif_delay;
  Number packets_per_slave, all_slaves_active, tlb_dynamic_lb, lp_interval;
  Number arp_interval, arp_validate, arp_all_targets;
  std::vector<Ipv4> arp_targets;

  bool operator==(const BondOptions&) const = default;
};

// One numeric option: its name as the bonding module has it, and the words its values have (empty:
// a plain number).
struct BondOption {
  std::string_view name;
  BondOptions::Number BondOptions::*value;
  uint16_t attribute;  // IFLA_BOND_*
  uint8_t bytes;       // of the attribute: 1, 2 or 4
  uint32_t standard;   // the kernel's default
  uint8_t modes;       // those that take it: 1 << mode
  std::array<std::string_view, 7> words{};
};
// In the order in which the kernel is asked to set them.
std::span<const BondOption> bond_options();

std::string_view bond_mode_name(BondMode mode);                  // "802.3ad"
std::optional<BondMode> parse_bond_mode(std::string_view text);  // its name, or its number
bool takes(BondMode mode, const BondOption& option);

struct VlanOptions {
  uint16_t id = 0;    // 0 to 4094
  bool qinq = false;  // 802.1ad instead of 802.1Q

  bool operator==(const VlanOptions&) const = default;
};

}  // namespace curlingiron
