#include "formats/netlink/link_options.h"

#include <algorithm>
#include <iterator>

namespace curlingiron {
namespace {

constexpr std::string_view kModes[] = {"balance-rr", "active-backup", "balance-xor", "broadcast",
                                       "802.3ad",    "balance-tlb",   "balance-alb"};

constexpr uint8_t only(std::initializer_list<BondMode> modes) {
  uint8_t bits = 0;
  for (BondMode mode : modes) bits = static_cast<uint8_t>(bits | 1U << static_cast<uint8_t>(mode));
  return bits;
}

constexpr uint8_t kAll = 0x7f;
constexpr uint8_t kLacp = only({BondMode::Ieee8023ad});
constexpr uint8_t kArp =
    only({BondMode::BalanceRr, BondMode::ActiveBackup, BondMode::BalanceXor, BondMode::Broadcast});
constexpr uint8_t kOneActive =
    only({BondMode::ActiveBackup, BondMode::BalanceTlb, BondMode::BalanceAlb});
constexpr uint8_t kBalanced = only({BondMode::BalanceTlb, BondMode::BalanceAlb});

using O = BondOptions;

// Numbers of linux/if_link.h (IFLA_BOND_*); defaults and modes of drivers/net/bonding.
constexpr BondOption kOptions[] = {
    {"miimon", &O::miimon, 3, 4, 0, kAll},
    {"updelay", &O::updelay, 4, 4, 0, kAll},
    {"downdelay", &O::downdelay, 5, 4, 0, kAll},
    {"arp_interval", &O::arp_interval, 7, 4, 0, kArp},
    {"arp_validate",
     &O::arp_validate,
     9,
     4,
     0,
     kArp,
     {"none", "active", "backup", "all", "filter", "filter_active", "filter_backup"}},
    {"arp_all_targets", &O::arp_all_targets, 10, 4, 0, kArp, {"any", "all"}},
    {"primary_reselect",
     &O::primary_reselect,
     12,
     1,
     0,
     kOneActive,
     {"always", "better", "failure"}},
    {"fail_over_mac", &O::fail_over_mac, 13, 1, 0, kAll, {"none", "active", "follow"}},
    {"xmit_hash_policy",
     &O::xmit_hash_policy,
     14,
     1,
     0,
     kAll,
     {"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}},
    {"resend_igmp", &O::resend_igmp, 15, 4, 1, kAll},
    {"num_grat_arp", &O::num_peer_notif, 16, 1, 1, kAll},
    {"all_slaves_active", &O::all_slaves_active, 17, 1, 0, kAll},
    {"min_links", &O::min_links, 18, 4, 0, kAll},
    {"lp_interval", &O::lp_interval, 19, 4, 1, kAll},
    {"packets_per_slave", &O::packets_per_slave, 20, 4, 1, only({BondMode::BalanceRr})},
    {"lacp_rate", &O::lacp_rate, 21, 1, 0, kLacp, {"slow", "fast"}},
    {"ad_select", &O::ad_select, 22, 1, 0, kLacp, {"stable", "bandwidth", "count"}},
    {"ad_actor_sys_prio", &O::ad_actor_sys_prio, 24, 2, 65535, kLacp},
    {"ad_user_port_key", &O::ad_user_port_key, 25, 2, 0, kLacp},
    {"tlb_dynamic_lb", &O::tlb_dynamic_lb, 27, 1, 1, kBalanced},
    {"peer_notif_delay", &O::peer_notif_delay, 28, 4, 0, kAll},
    {"lacp_active", &O::lacp_active, 29, 1, 1, kLacp, {"off", "on"}},
};

}  // namespace

std::span<const BondOption> bond_options() { return kOptions; }

std::string_view bond_mode_name(BondMode mode) { return kModes[static_cast<uint8_t>(mode)]; }

std::optional<BondMode> parse_bond_mode(std::string_view text) {
  for (uint8_t i = 0; i < std::size(kModes); ++i) {
    char digit = static_cast<char>('0' + i);
    if (text == kModes[i] || text == std::string_view(&digit, 1)) return BondMode{i};
  }
  return std::nullopt;
}

bool takes(BondMode mode, const BondOption& option) {
  return (option.modes >> static_cast<uint8_t>(mode) & 1) != 0;
}

}  // namespace curlingiron
