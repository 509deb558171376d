#include "net/join/interface.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {

Interface::Interface(const InterfaceContext& context, const Link& link, LinkPlan plan,
                     std::string driver, uint32_t metric)
    : plan_(std::move(plan)),
      link_(context, link, std::move(driver)),
      ipv4_(link_, plan_, metric),
      ipv6_(link_, plan_) {}

// --- the link

void Interface::prepare() {
  // Before the link is up: some drivers restart it for this, and with it a switch's spanning tree.
  if (plan_.set_mac) link_.set_mac(*plan_.set_mac);
  uint32_t mtu = link_.context().mtu != 0 ? link_.context().mtu : plan_.mtu;
  if (mtu != 0) link_.set_mtu(mtu, plan_.ipv6 != Ipv6Plan::Off);
  bool listens = listens_to_routers();
  // A second address of one network stays when the first one goes.
  link_.set_kernel("ipv4", "promote_secondaries", "1");
  link_.set_kernel("ipv6", "disable_ipv6", "0");
  link_.set_kernel("ipv6", "accept_ra", listens ? "2" : "0");
  link_.set_kernel("ipv6", "autoconf", listens ? "1" : "0");
  // Routes of more specific destinations (RFC 4191), too.
  link_.set_kernel("ipv6", "accept_ra_rt_info_max_plen", "128");
  // An address is used while its duplicates are still looked for (RFC 4429): a second less.
  link_.set_kernel("ipv6", "optimistic_dad", "1");
  link_.set_kernel("ipv6", "use_optimistic", "1");
  link_.set_kernel("ipv6", "router_solicitation_delay", "0");
}

void Interface::bring_up(Time time) {
  link_.begin_retry();
  Result<void> up = link_.routes().set_up(link().index);
  if (up.ok()) {
    link_.clear_trouble();
  } else {
    link_.retry_later(time, concat("cannot be brought up (", up.error().message(), ')'));
  }
}

void Interface::see(const Link& link, Time time) {
  bool had_carrier = carrier();
  link_.see(link);
  if (carrier() == had_carrier) return;
  log_debug(concat(label(), carrier() ? ": carrier" : ": carrier lost"));
  carrier_changed(time);
}

void Interface::carrier_changed(Time time) {
  ipv4_.on_carrier(carrier(), time);
  ipv6_.on_carrier(carrier(), time);
  if (!carrier()) return;
  if (!plan_.floating) take_planned();
  start(time);
}

void Interface::start(Time time) {
  if (plan_.dhcp4) ipv4_.start(time);
  if (listens_to_routers()) ipv6_.start(time);
}

void Interface::try_everything(Time time) {
  prefers_learnt_ = true;
  plan_.wanted = true;
  bool more4 = !std::exchange(plan_.dhcp4, true);
  bool more6 = !listens_to_routers();
  if (more6) {
    plan_.ipv6 = Ipv6Plan::Auto;
    link_.set_kernel("ipv6", "accept_ra", "2");
    link_.set_kernel("ipv6", "autoconf", "1");
  }
  if (!carrier()) return;
  if (more4) ipv4_.start(time);
  if (more6) ipv6_.start(time);
}

// --- addresses

void Interface::take_planned() {
  if (!std::exchange(planned_set_, true)) link_.set_addresses(plan_.addresses);
}

void Interface::release_planned() {
  if (std::exchange(planned_set_, false)) link_.unset_addresses(plan_.addresses);
}

void Interface::see(const AssignedAddress& address, Time time) {
  std::erase_if(addresses_,
                [&](const AssignedAddress& other) { return same_address(other, address); });
  if (address.change == Change::Present) {
    addresses_.push_back(address);
  } else {
    ipv4_.on_address_removed(address);
  }
  if (address.change == Change::Present && address.duplicate() && address.prefix.address.is_v6()) {
    log_warning(concat(label(), ": another host has ", format_ip(address.prefix.address)));
    ipv6_.on_duplicate(address.prefix.address.v6(), time);
  }
  ipv6_.on_link_local(has_link_local(), time);
}

void Interface::see_all(const std::vector<AssignedAddress>& addresses, Time time) {
  std::vector<AssignedAddress> gone = addresses_;
  for (const AssignedAddress& address : addresses) {
    if (address.index != link().index) continue;
    std::erase_if(gone, [&](const AssignedAddress& old) { return same_address(old, address); });
    see(address, time);
  }
  for (AssignedAddress& address : gone) {
    address.change = Change::Removed;
    see(address, time);
  }
}

bool Interface::has_link_local() const {
  return std::any_of(addresses_.begin(), addresses_.end(), [](const AssignedAddress& address) {
    return address.prefix.address.is_v6() && address.prefix.address.is_link_local() &&
           !address.tentative() && !address.duplicate();
  });
}

std::optional<AssignedAddress> Interface::usable(Family family) const {
  // The planned one has led nowhere then.
  if (prefers_learnt_ && family == Family::V4 && ipv4_.address()) return ipv4_.address();
  std::optional<AssignedAddress> best;
  for (const AssignedAddress& address : addresses_) {
    const IpAddress& ip = address.prefix.address;
    if (ip.family() != family || address.tentative() || address.duplicate()) continue;
    if (ip.is_loopback() || (ip.is_v6() && ip.is_link_local())) continue;
    bool better = !best || (best->prefix.address.is_link_local() && !ip.is_link_local());
    if (better) best = address;
  }
  return best;
}

bool Interface::reaches(const IpAddress& host) const {
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const AssignedAddress& address) {
    return contains(address.prefix, host);
  });
}

std::string Interface::via(const AssignedAddress& address) const {
  const IpAddress& ip = address.prefix.address;
  if (ipv4_.address() && same_address(*ipv4_.address(), address)) return "dhcp4";
  if (ip.is_v6() && ipv6_.is_leased(ip.v6())) return "dhcp6";
  return address.permanent() || ip.is_v4() ? "static" : "ra";
}

bool Interface::has_set(Origin origin) const {
  switch (origin) {
    case Origin::Static: return planned_set_;
    case Origin::Dhcp4: return ipv4_.uses_previous();
    case Origin::Ra:
    case Origin::Dhcp6: return ipv6_.uses_previous();
  }
  return false;
}

void Interface::leave() {
  ipv4_.leave();
  ipv6_.leave();
  release_planned();
}

// --- time and descriptors

std::optional<Time> Interface::wake() const {
  std::optional<Time> next = link_.retry_at();
  for (std::optional<Time> time : {ipv4_.wake(), ipv6_.wake(usable(Family::V6).has_value())}) {
    if (time && (!next || *time < *next)) next = time;
  }
  return next;
}

void Interface::on_time(Time time) {
  if (link_.retry_at() && time >= *link_.retry_at()) {
    link_.begin_retry();
    if (!link().up) {
      bring_up(time);
    } else if (carrier()) {
      link_.clear_trouble();
      start(time);
    }
  }
  ipv4_.on_time(time);
  ipv6_.on_time(time, usable(Family::V6).has_value());
}

void Interface::add_descriptors(std::vector<PollItem>& items) const {
  ipv4_.add_descriptors(items);
  ipv6_.add_descriptors(items);
}

void Interface::hear(Time time) {
  ipv4_.hear(time);
  ipv6_.hear(time);
}

// --- how far it got

std::optional<IpAddress> Interface::gateway(Family family) const {
  if (family == Family::V4) return ipv4_.gateway();
  std::optional<Ipv6> router = ipv6_.routers().gateway();
  if (!router) return std::nullopt;
  return IpAddress(*router);
}

std::vector<NameServer> Interface::name_servers(Time time) const {
  std::vector<NameServer> servers;
  auto add = [&](const IpAddress& server) { servers.push_back({server, link().name}); };
  if (ipv4_.address()) {
    for (Ipv4 server : ipv4_.lease().nameservers) add(server);
  }
  for (const Ipv6& server : ipv6_.routers().name_servers(time)) add(server);
  if (ipv6_.lease()) {
    for (const Ipv6& server : ipv6_.lease()->nameservers) add(server);
  }
  return servers;
}

std::vector<std::string> Interface::search_domains(Time time) const {
  std::vector<std::string> domains;
  auto add = [&](const std::string& domain) {
    if (!domain.empty()) append_unique(domains, domain);
  };
  if (ipv4_.address()) {
    for (const std::string& domain : ipv4_.lease().search) add(domain);
    add(ipv4_.lease().domain);
  }
  for (const std::string& domain : ipv6_.routers().search_domains(time)) add(domain);
  if (ipv6_.lease()) {
    for (const std::string& domain : ipv6_.lease()->search) add(domain);
  }
  return domains;
}

std::string Interface::report() const {
  if (!link_.trouble().empty()) return link_.trouble();
  if (!carrier()) return "no carrier; check the cable";
  return {};
}

std::string Interface::report(Family family) const {
  if (family == Family::V6) return listens_to_routers() ? ipv6_.progress() : "not configured";
  if (std::optional<std::string> progress = ipv4_.progress()) return *progress;
  return plan_.addresses.empty() ? "not configured" : "no address of it is configured";
}

}  // namespace curlingiron
