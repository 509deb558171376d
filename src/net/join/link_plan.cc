#include "net/join/link_plan.h"

#include <algorithm>

namespace curlingiron {
namespace {

bool has_mac(const Link& link, const MacAddress& mac) {
  return link.permanent_mac ? *link.permanent_mac == mac || link.mac == mac : link.mac == mac;
}

bool has_floating_address(const NetworkConfig& config) {
  return std::any_of(config.addresses.begin(), config.addresses.end(),
                     [](const AddressConfig& address) { return address.device.empty(); });
}

Ipv6Plan ipv6_plan(const LinkConfig& link, bool has_fixed_v4, bool has_fixed_v6) {
  switch (link.ipv6) {
    case Ipv6Method::Auto: return Ipv6Plan::Auto;
    case Ipv6Method::Dhcp6: return Ipv6Plan::Dhcp6;
    case Ipv6Method::Off: return has_fixed_v6 ? Ipv6Plan::StaticOnly : Ipv6Plan::Off;
    case Ipv6Method::Unset: break;
  }
  if (has_fixed_v6) return Ipv6Plan::StaticOnly;
  return has_fixed_v4 ? Ipv6Plan::Off : Ipv6Plan::Auto;
}

}  // namespace

std::optional<Ipv4> LinkPlan::previous() const {
  if (leased4.empty()) return std::nullopt;
  return leased4.front().prefix.address.v4();
}

bool is_lower(const NetworkConfig& config, std::string_view name) {
  return std::any_of(config.links.begin(), config.links.end(), [&](const LinkConfig& other) {
    return other.vlan && other.vlan->lower == name;
  });
}

bool is_virtual(const LinkConfig& link) { return link.vlan || link.bond; }

const LinkConfig* find_link(const NetworkConfig& config, const Link& link) {
  const LinkConfig* by_name = nullptr;
  const LinkConfig* any = nullptr;
  for (const LinkConfig& candidate : config.links) {
    if (is_virtual(candidate)) {
      // Ours: the name was given by us.
      if (candidate.name == link.name && !link.kind.empty()) return &candidate;
    } else if (candidate.mac) {
      if (has_mac(link, *candidate.mac) && link.kind != "vlan" && link.kind != "bond") {
        return &candidate;
      }
    } else if (candidate.name.empty()) {
      any = &candidate;
    } else if (candidate.name == link.name) {
      by_name = &candidate;
    }
  }
  return by_name != nullptr ? by_name : any;
}

const LinkConfig* find_bond_of(const NetworkConfig& config, const Link& link) {
  const LinkConfig* own = find_link(config, link);
  const std::string& name = own != nullptr && !own->name.empty() ? own->name : link.name;
  for (const LinkConfig& candidate : config.links) {
    if (!candidate.bond) continue;
    const std::vector<std::string>& members = candidate.bond->members;
    if (std::find(members.begin(), members.end(), name) != members.end()) return &candidate;
  }
  return nullptr;
}

LinkPlan plan_link(const NetworkConfig& config, const Link& link) {
  LinkPlan plan;
  plan.name = link.name;
  if (config.links.empty() && config.addresses.empty()) {
    plan.wanted = true;
    plan.dhcp4 = true;
    plan.ipv6 = Ipv6Plan::Auto;
    return plan;
  }
  // What is said of no NIC in particular is about each.
  static const LinkConfig kAnyNic;
  const LinkConfig* about = find_link(config, link);
  bool floats = (about == nullptr || about->name.empty()) && has_floating_address(config);
  if (about == nullptr && floats) about = &kAnyNic;
  if (about == nullptr) return plan;
  plan.wanted = true;
  if (!about->name.empty()) plan.name = plan.config_name = about->name;
  plan.floating = floats;
  plan.mtu = about->mtu;
  plan.set_mac = about->set_mac;
  if (const LinkConfig* bond = find_bond_of(config, link)) {
    plan.bond = bond->name;
    return plan;  // which has all that is to be had
  }
  for (const AddressConfig& address : config.addresses) {
    if (address.device != about->name) continue;
    bool v4 = address.prefix.address.is_v4();
    bool fixed = address.origin == Origin::Static;
    (fixed ? plan.addresses : v4 ? plan.leased4 : plan.leased6).push_back(address);
  }
  auto has_fixed = [&](Family family) {
    return std::any_of(plan.addresses.begin(), plan.addresses.end(),
                       [&](const AddressConfig& address) {
                         return address.prefix.address.family() == family &&
                                !address.prefix.address.is_link_local();
                       });
  };
  bool fixed_v4 = has_fixed(Family::V4);
  bool fixed_v6 = has_fixed(Family::V6);
  bool bare = is_lower(config, about->name) && about->ipv4 == Ipv4Method::Unset &&
              about->ipv6 == Ipv6Method::Unset && !fixed_v4 && !fixed_v6;
  if (bare) return plan;  // it carries VLANs and nothing else
  plan.dhcp4 = about->ipv4 == Ipv4Method::Dhcp ||
               (about->ipv4 == Ipv4Method::Unset && !fixed_v4 && !fixed_v6);
  plan.ipv6 = ipv6_plan(*about, fixed_v4, fixed_v6);
  return plan;
}

}  // namespace curlingiron
