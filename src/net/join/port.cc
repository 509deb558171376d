#include "net/join/port.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/text.h"
#include "formats/arp.h"
#include "formats/dhcp.h"
#include "formats/dhcp6.h"
#include "formats/router_advertisement.h"
#include "net/join/configured.h"
#include "sys/clock.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

// How soon to try again what the kernel refused while a module may still be loading.
constexpr Duration kRetry = 250ms;
// A server that gives nothing for so long gives nothing at all: what it gave the running system
// before is used then.
constexpr Duration kLeasePatience = 6s;
// Solicitations of routers (RFC 7559): the kernel sends its own, but only behind the detection of
// duplicate addresses, a second after the link is up.
constexpr Duration kFirstSolicitPause = 1s;
constexpr Duration kLongestSolicitPause = 16s;
constexpr size_t kMostTold = 16;             // name servers, and domains, that routers may name
constexpr uint8_t kMostPackets = 64;         // of one socket, before the others have their turn
constexpr uint32_t kSmallestIpv6Mtu = 1280;  // RFC 8200 section 5: below, the kernel drops IPv6

bool same_address(const AssignedAddress& a, const AssignedAddress& b) {
  return a.index == b.index && a.prefix == b.prefix;
}

Route link_route(int index, const IpPrefix& destination, const IpAddress& preferred,
                 uint32_t metric) {
  Route route;
  route.destination = network_of(destination);
  route.protocol = RTPROT_DHCP;
  route.scope = RT_SCOPE_LINK;
  route.metric = metric;
  route.preferred = preferred;
  route.hops.resize(1);
  route.hops[0].index = index;
  return route;
}

// The routes of a lease. A gateway is taken as on the link: a /32 address has no other way to it.
std::vector<Route> routes_of(const DhcpLease& lease, int index, uint32_t metric) {
  std::vector<Route> routes;
  if (lease.prefix_length < 32) {
    routes.push_back(
        link_route(index, {lease.address, lease.prefix_length}, lease.address, metric));
  }
  for (const DhcpRoute& wanted : lease.routes()) {
    Route route =
        link_route(index, {wanted.destination, wanted.prefix_length}, lease.address, metric);
    // A gateway of our own address means the link itself.
    if (!wanted.gateway.is_zero() && wanted.gateway != lease.address) {
      route.scope = RT_SCOPE_UNIVERSE;
      route.hops[0].gateway = wanted.gateway;
      route.hops[0].on_link = true;
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace

// What routers said last, and until when it holds.
struct Port::RouterWord {
  template <typename T>
  struct Told {
    T what;
    Ipv6 router;
    std::optional<Time> until;  // nullopt: for ever
    bool holds(Time time) const { return !until || time < *until; }
  };

  bool heard = false;
  std::optional<Ipv6> router;  // a default router
  std::vector<Told<Ipv6>> servers;
  std::vector<Told<std::string>> domains;

  void hear(const Ipv6& from, const RouterAdvertisement& advertised, Time time);

 private:
  // `what` holds for so long from now on, and no longer where that is 0.
  template <typename T>
  static void learn(std::vector<Told<T>>& known, const Ipv6& from, const T& what,
                    std::optional<Duration> lifetime, Time time) {
    std::erase_if(known, [&](const Told<T>& told) { return !told.holds(time); });
    auto same = [&](const Told<T>& told) { return told.what == what && told.router == from; };
    auto old = std::find_if(known.begin(), known.end(), same);
    if (lifetime && *lifetime <= 0s) {
      if (old != known.end()) known.erase(old);
      return;
    }
    std::optional<Time> until;
    if (lifetime) until = time + *lifetime;
    // Where it was: an order that changes with each message would begin every question anew.
    if (old != known.end()) {
      old->until = until;
    } else if (known.size() < kMostTold) {
      known.push_back({what, from, until});
    }
  }
};

void Port::RouterWord::hear(const Ipv6& from, const RouterAdvertisement& advertised, Time time) {
  heard = true;
  if (advertised.router_lifetime > 0s) {
    router = from;
  } else if (router == from) {
    router.reset();
  }
  for (const AdvertisedServer& server : advertised.nameservers) {
    learn(servers, from, server.address, server.lifetime, time);
  }
  for (const AdvertisedDomain& domain : advertised.domains) {
    learn(domains, from, domain.name, domain.lifetime, time);
  }
}

Port::Port(const PortContext& context, const Link& link, LinkPlan plan, std::string driver,
           uint32_t metric)
    : context_(context),
      link_(link),
      plan_(std::move(plan)),
      driver_(std::move(driver)),
      metric_(metric),
      word_(std::make_unique<RouterWord>()) {
  // Believed only from the kernel's own message about the link being up.
  link_.carrier = false;
}

Port::~Port() = default;

std::string Port::label() const {
  return driver_.empty() ? link_.name : concat(link_.name, " (", driver_, ')');
}

// --- the link

void Port::set_kernel(std::string_view family, std::string_view name, std::string_view value) {
  std::string path = concat("proc/sys/net/", family, "/conf/", link_.name, '/', name);
  if (auto set = write_existing(context_.root, path, value); !set.ok()) {
    log_debug(concat(path, " unchanged: ", set.error().message()));
  }
}

void Port::prepare() {
  // Before the link is up: some drivers restart it for this, and with it a switch's spanning tree.
  if (plan_.set_mac && *plan_.set_mac != link_.mac) {
    if (auto set = context_.routes.set_mac(link_.index, *plan_.set_mac); !set.ok()) {
      log_warning(concat(label(), ": its MAC address stays"), set.error());
    } else {
      link_.mac = *plan_.set_mac;
    }
  }
  uint32_t mtu = context_.mtu != 0 ? context_.mtu : plan_.mtu;
  if (mtu != 0) set_mtu(mtu);
  bool listens = plan_.ipv6 == Ipv6Plan::Auto || plan_.ipv6 == Ipv6Plan::Dhcp6;
  // A second address of one network stays when the first one goes.
  set_kernel("ipv4", "promote_secondaries", "1");
  set_kernel("ipv6", "disable_ipv6", "0");
  set_kernel("ipv6", "accept_ra", listens ? "2" : "0");
  set_kernel("ipv6", "autoconf", listens ? "1" : "0");
  // Routes of more specific destinations (RFC 4191), too.
  set_kernel("ipv6", "accept_ra_rt_info_max_plen", "128");
  // An address is used while its duplicates are still looked for (RFC 4429): a second less.
  set_kernel("ipv6", "optimistic_dad", "1");
  set_kernel("ipv6", "use_optimistic", "1");
  set_kernel("ipv6", "router_solicitation_delay", "0");
}

void Port::set_mtu(uint32_t mtu) {
  if (link_.mtu == mtu) return;
  if (mtu < kSmallestIpv6Mtu && plan_.ipv6 != Ipv6Plan::Off) {
    log_warning(concat(label(), ": MTU ", mtu, " is less than IPv6 needs; 1280 is set"));
    mtu = kSmallestIpv6Mtu;
  }
  if (auto set = context_.routes.set_mtu(link_.index, mtu); !set.ok()) {
    log_warning(concat(label(), ": MTU ", link_.mtu, " stays"), set.error());
  } else {
    link_.mtu = mtu;
  }
}

void Port::retry_later(Time time, std::string trouble) {
  trouble_ = std::move(trouble);
  retry_at_ = time + kRetry;
}

void Port::bring_up(Time time) {
  retry_at_.reset();
  Result<void> up = context_.routes.set_up(link_.index);
  if (up.ok()) {
    trouble_.clear();
  } else {
    retry_later(time, concat("cannot be brought up (", up.error().message(), ')'));
  }
}

void Port::see(const Link& link, Time time) {
  bool had_carrier = carrier();
  link_ = link;
  if (carrier() == had_carrier) return;
  log_debug(concat(label(), carrier() ? ": carrier" : ": carrier lost"));
  carrier_changed(time);
}

void Port::carrier_changed(Time time) {
  carrier_since_.reset();
  lease_wanted_since_.reset();
  if (carrier()) {
    carrier_since_ = time;
    if (!lease4_) lease_wanted_since_ = time;
    word_->heard = false;  // another router may be at the other end now
    if (!plan_.floating) take_planned();
    if (plan_.dhcp4) start_dhcp4(time);
    if (plan_.ipv6 == Ipv6Plan::Auto || plan_.ipv6 == Ipv6Plan::Dhcp6) {
      start_router_discovery(time);
    }
    // The link-local address may have stayed; else it is told of when it is there.
    if (dhcp6_ && has_link_local()) act(dhcp6_->on(Dhcp6Event::LinkUp, time), time);
  } else {
    if (dhcp4_) act(dhcp4_->on(DhcpEvent::LinkDown, time), time);
    if (dhcp6_) act(dhcp6_->on(Dhcp6Event::LinkDown, time), time);
    solicit_at_.reset();
  }
}

void Port::try_everything(Time time) {
  prefers_learnt_ = true;
  plan_.wanted = true;
  bool more4 = !std::exchange(plan_.dhcp4, true);
  bool more6 = plan_.ipv6 == Ipv6Plan::Off || plan_.ipv6 == Ipv6Plan::StaticOnly;
  if (more6) {
    plan_.ipv6 = Ipv6Plan::Auto;
    set_kernel("ipv6", "accept_ra", "2");
    set_kernel("ipv6", "autoconf", "1");
  }
  if (!carrier()) return;
  if (more4) start_dhcp4(time);
  if (more6) start_router_discovery(time);
}

// --- addresses

void Port::take_planned() {
  if (std::exchange(planned_set_, true)) return;
  set_planned(plan_.addresses);
}

void Port::release_planned() {
  if (std::exchange(planned_set_, false)) unset_planned(plan_.addresses);
}

void Port::set_planned(const std::vector<AddressConfig>& addresses) {
  for (const AddressConfig& config : addresses) {
    if (auto added = context_.routes.add_address(kernel_address(config, link_.index));
        !added.ok()) {
      trouble_ =
          concat("cannot take ", format_prefix(config.prefix), " (", added.error().message(), ')');
      log_warning(concat(label(), ": ", trouble_));
    }
  }
}

void Port::unset_planned(const std::vector<AddressConfig>& addresses) {
  for (const AddressConfig& config : addresses) {
    // It may have gone by itself.
    [[maybe_unused]] Result<void> removed =
        context_.routes.remove_address(kernel_address(config, link_.index));
  }
}

void Port::see(const AssignedAddress& address, Time time) {
  bool had_link_local = has_link_local();
  auto known =
      std::find_if(addresses_.begin(), addresses_.end(),
                   [&](const AssignedAddress& other) { return same_address(other, address); });
  if (known != addresses_.end()) addresses_.erase(known);
  if (address.change == Change::Present) addresses_.push_back(address);
  if (address.change == Change::Removed && lease4_ && same_address(lease4_->address, address)) {
    // Not by us: what is leased is set again.
    DhcpLease lease = std::exchange(lease4_, std::nullopt)->lease;
    take_lease(lease);
  }
  if (address.change == Change::Present && address.duplicate() && address.prefix.address.is_v6()) {
    log_warning(concat(label(), ": another host has ", format_ip(address.prefix.address)));
    if (dhcp6_) act(dhcp6_->on_duplicate(address.prefix.address.v6(), time), time);
  }
  if (!had_link_local && has_link_local()) {
    if (solicit_at_) solicit(time);
    if (dhcp6_) {
      act(dhcp6_->on(Dhcp6Event::LinkUp, time), time);
    } else if (plan_.ipv6 == Ipv6Plan::Dhcp6) {
      start_dhcp6(Dhcp6Mode::Stateful, time);
    }
  }
}

void Port::see_all(const std::vector<AssignedAddress>& addresses, Time time) {
  std::vector<AssignedAddress> gone = addresses_;
  for (const AssignedAddress& address : addresses) {
    if (address.index != link_.index) continue;
    std::erase_if(gone, [&](const AssignedAddress& old) { return same_address(old, address); });
    see(address, time);
  }
  for (AssignedAddress& address : gone) {
    address.change = Change::Removed;
    see(address, time);
  }
}

bool Port::has_link_local() const {
  return std::any_of(addresses_.begin(), addresses_.end(), [](const AssignedAddress& address) {
    return address.prefix.address.is_v6() && address.prefix.address.is_link_local() &&
           !address.tentative() && !address.duplicate();
  });
}

std::optional<AssignedAddress> Port::usable(Family family) const {
  // The planned one has led nowhere then.
  if (prefers_learnt_ && family == Family::V4 && lease4_) return lease4_->address;
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

bool Port::reaches(const IpAddress& host) const {
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const AssignedAddress& address) {
    return contains(address.prefix, host);
  });
}

std::string Port::via(const AssignedAddress& address) const {
  if (lease4_ && same_address(lease4_->address, address)) return "dhcp4";
  if (lease6_ && address.prefix.address.is_v6()) {
    for (const Dhcp6Address& leased : lease6_->addresses) {
      if (leased.address == address.prefix.address.v6()) return "dhcp6";
    }
  }
  return address.permanent() || address.prefix.address.is_v4() ? "static" : "ra";
}

bool Port::has_set(Origin origin) const {
  switch (origin) {
    case Origin::Static: return planned_set_;
    case Origin::Dhcp4: return leased4_set_;
    case Origin::Ra:
    case Origin::Dhcp6: return leased6_set_;
  }
  return false;
}

void Port::leave() {
  drop_lease();
  drop_lease6();
  release_planned();
  if (leased4_set_) unset_planned(plan_.leased4);
  if (leased6_set_) unset_planned(plan_.leased6);
}

// --- time

std::optional<Time> Port::wake() const {
  std::optional<Time> next;
  auto sooner = [&](const std::optional<Time>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  sooner(retry_at_);
  sooner(dhcp4_wake_);
  sooner(dhcp6_wake_);
  sooner(solicit_at_);
  bool waits4 = may_fall_back4();
  bool waits6 = !leased6_set_ && !plan_.leased6.empty() && !usable(Family::V6);
  if (lease_wanted_since_ && waits4) sooner(*lease_wanted_since_ + kLeasePatience);
  if (carrier_since_ && waits6) sooner(*carrier_since_ + kLeasePatience);
  return next;
}

void Port::on_time(Time time) {
  if (retry_at_ && time >= *retry_at_) {
    retry_at_.reset();
    if (!link_.up) {
      bring_up(time);
    } else if (carrier()) {
      trouble_.clear();
      if (plan_.dhcp4) start_dhcp4(time);
      if (plan_.ipv6 == Ipv6Plan::Auto || plan_.ipv6 == Ipv6Plan::Dhcp6) {
        start_router_discovery(time);
      }
    }
  }
  if (dhcp4_wake_ && time >= *dhcp4_wake_) act(dhcp4_->on(DhcpEvent::Timer, time), time);
  if (dhcp6_wake_ && time >= *dhcp6_wake_) act(dhcp6_->on(Dhcp6Event::Timer, time), time);
  if (solicit_at_ && time >= *solicit_at_) solicit(time);
  fall_back(time);
}

bool Port::may_fall_back4() const {
  return !leased4_set_ && !leased4_taken_ && !plan_.leased4.empty() && !lease4_;
}

// No server gives what one gave the running system: its lease still runs.
void Port::fall_back(Time time) {
  auto waited = [&](const std::optional<Time>& since) {
    return since && time >= *since + kLeasePatience;
  };
  if (waited(lease_wanted_since_) && may_fall_back4()) {
    log_warning(concat(label(),
                       ": no DHCP server answers; the address that the running system had "
                       "is taken"));
    set_planned(plan_.leased4);
    leased4_set_ = true;
  }
  if (waited(carrier_since_) && !leased6_set_ && !plan_.leased6.empty() && !usable(Family::V6)) {
    log_warning(concat(label(),
                       ": no router answers; the IPv6 addresses that the running system "
                       "had are taken"));
    set_planned(plan_.leased6);
    leased6_set_ = true;
  }
}

// --- descriptors

void Port::add_descriptors(std::vector<PollItem>& items) const {
  auto add = [&](const auto& socket) {
    if (socket) items.push_back(PollItem{socket->fd()});
  };
  add(packets_);
  add(arp_);
  add(routers_);
  add(datagrams6_);
}

void Port::hear(Time time) {
  hear_dhcp4(time);
  hear_arp(time);
  hear_routers(time);
  hear_dhcp6(time);
}

// --- DHCPv4

void Port::start_dhcp4(Time time) {
  if (!packets_) {
    Result<PacketSocket> socket = PacketSocket::open(link_.index, kDhcpClientPort);
    if (!socket.ok()) {
      // The kernel asks for the module itself; until it is there, come back.
      retry_later(time, concat("no packet socket for DHCP (", socket.error().message(), ')'));
      return;
    }
    packets_ = std::move(socket).value();
  }
  if (!arp_) {
    Result<ArpSocket> socket = ArpSocket::open(link_.index);
    if (socket.ok()) {
      arp_ = std::move(socket).value();
    } else {
      log_debug(concat(label(), ": no look-out for conflicts: ", socket.error().message()));
    }
  }
  if (!dhcp4_) {
    dhcp4_.emplace(link_.mac, context_.hostname, random_u64(), plan_.previous());
    // Before the address is taken without a server's word, others have time to claim it.
    for (const AddressConfig& address : plan_.leased4) probe(address.prefix.address.v4());
  }
  act(dhcp4_->on(DhcpEvent::LinkUp, time), time);
}

void Port::act(const DhcpActions& actions, Time time) {
  dhcp4_wake_ = actions.wake;
  if (!actions.note.empty()) log_warning(concat(label(), ": ", actions.note));
  if (actions.lost) {
    drop_lease();
    lease_wanted_since_ = time;
    for (const AddressConfig& address : plan_.leased4) probe(address.prefix.address.v4());
  }
  for (const DhcpMessage& message : actions.send) send(message);
  if (actions.probe) probe(*actions.probe);
  if (!actions.bound) return;
  for (const std::string& what : actions.bound->ignored) {
    log_warning(concat(label(), ": DHCP: ", what, "; left out"));
  }
  if (context_.mtu == 0 && actions.bound->mtu) set_mtu(*actions.bound->mtu);
  take_lease(*actions.bound);
}

void Port::probe(Ipv4 address) {
  if (!arp_) return;
  Result<void> asked = arp_->broadcast(format_arp(arp_probe(link_.mac, address)));
  if (!asked.ok()) log_debug(concat(label(), ": ARP: ", asked.error().message()));
}

void Port::send(const DhcpMessage& message) {
  if (message.server && datagrams_) {
    Result<void> sent = datagrams_->send(*message.server, kDhcpServerPort, message.payload);
    if (sent.ok()) return;
    log_debug(concat(label(), ": DHCP by unicast: ", sent.error().message()));
  }
  UdpAddresses addresses;
  if (message.server && lease4_) addresses.source = lease4_->lease.address;
  addresses.source_port = kDhcpClientPort;
  addresses.destination = Ipv4{0xffffffff};
  addresses.destination_port = kDhcpServerPort;
  if (!packets_) return;
  Result<void> sent = packets_->broadcast(format_udp_packet(addresses, message.payload));
  // The client sends again by itself.
  if (!sent.ok()) log_debug(concat(label(), ": DHCP: ", sent.error().message()));
}

void Port::hear_dhcp4(Time time) {
  for (uint8_t i = 0; i < kMostPackets && packets_; ++i) {
    Result<std::optional<RawPacket>> received = packets_->receive();
    if (!received.ok()) {
      log_warning(label(), received.error());
      packets_.reset();
      retry_later(time, received.error().message());
      return;
    }
    if (!received.value()) return;
    const RawPacket& packet = *received.value();
    Result<UdpDatagram> datagram =
        parse_udp_packet(packet.bytes, kDhcpClientPort, packet.checksum_ready);
    if (!datagram.ok()) {
      log_debug(concat(label(), ": packet dropped: ", datagram.error().message()));
      continue;
    }
    Result<DhcpPacket> message = parse_dhcp(datagram.value().payload);
    if (!message.ok()) {
      log_debug(concat(label(), ": DHCP message dropped: ", message.error().message()));
      continue;
    }
    act(dhcp4_->on_packet(message.value(), time), time);
  }
}

void Port::hear_arp(Time time) {
  for (uint8_t i = 0; i < kMostPackets && arp_; ++i) {
    Result<std::optional<ByteVector>> received = arp_->receive();
    if (!received.ok()) {
      log_debug(concat(label(), ": ARP: ", received.error().message()));
      arp_.reset();
      return;
    }
    if (!received.value()) return;
    Result<ArpPacket> packet = parse_arp(*received.value());
    if (!packet.ok() || !dhcp4_) continue;
    if (std::optional<Ipv4> claimed = arp_claim(packet.value(), link_.mac)) {
      leased4_taken_ =
          leased4_taken_ || std::any_of(plan_.leased4.begin(), plan_.leased4.end(),
                                        [&](const AddressConfig& address) {
                                          return address.prefix.address == IpAddress(*claimed);
                                        });
      act(dhcp4_->on_conflict(*claimed, time), time);
    }
  }
}

void Port::take_lease(const DhcpLease& lease) {
  Leased taken;
  taken.lease = lease;
  taken.address.index = link_.index;
  taken.address.prefix = {lease.address, lease.prefix_length};
  taken.address.broadcast = lease.broadcast;
  // Routes are our own: the kernel's has no metric of this NIC.
  taken.address.flags = IFA_F_NOPREFIXROUTE;
  taken.routes = routes_of(lease, link_.index, metric_);
  bool as_before =
      lease4_ && same_address(lease4_->address, taken.address) && lease4_->routes == taken.routes;
  if (as_before) {
    lease4_->lease = lease;
    return;
  }
  if (std::exchange(leased4_set_, false)) unset_planned(plan_.leased4);
  // The new one first: with the last address of an interface go all its routes.
  if (auto added = context_.routes.add_address(taken.address); !added.ok()) {
    drop_lease();
    trouble_ =
        concat("cannot take ", format_ipv4(lease.address), " (", added.error().message(), ')');
    log_warning(concat(label(), ": ", trouble_));
    return;
  }
  drop_other_than(taken);
  for (const Route& route : taken.routes) {
    if (auto added = context_.routes.add_route(route); !added.ok()) {
      log_warning(concat(label(), ": no route to ", format_prefix(route.destination)),
                  added.error());
    }
  }
  if (!datagrams_) {
    Result<DatagramSocket> socket = DatagramSocket::open(link_.name, kDhcpClientPort);
    if (socket.ok()) {
      datagrams_ = std::move(socket).value();
    } else {
      // Renewals are broadcast then, which serves as well.
      log_debug(concat(label(), ": ", socket.error().message()));
    }
  }
  trouble_.clear();
  lease4_ = std::move(taken);
  log_debug(concat(label(), ": ", format_prefix(lease4_->address.prefix), " by DHCP"));
}

// What the old lease had and the new one has not.
void Port::drop_other_than(const Leased& taken) {
  if (!lease4_) return;
  if (!same_address(lease4_->address, taken.address)) {
    drop_lease();
    return;
  }
  for (const Route& route : lease4_->routes) {
    bool kept = std::find(taken.routes.begin(), taken.routes.end(), route) != taken.routes.end();
    if (kept) continue;
    // It may have gone by itself.
    [[maybe_unused]] Result<void> removed = context_.routes.remove_route(route);
  }
}

// Routes go with the address that they prefer.
void Port::drop_lease() {
  if (!lease4_) return;
  if (auto removed = context_.routes.remove_address(lease4_->address);
      !removed.ok() && removed.error().code() != EADDRNOTAVAIL &&
      removed.error().code() != ENODEV) {
    log_warning(concat(label(), ": ", format_prefix(lease4_->address.prefix), " stays"),
                removed.error());
  }
  lease4_.reset();
}

// --- routers

void Port::start_router_discovery(Time time) {
  if (!routers_) {
    Result<Icmp6Socket> socket = Icmp6Socket::open(link_.name, link_.index);
    if (!socket.ok()) {
      log_debug(concat(label(), ": routers are not heard: ", socket.error().message()));
      return;
    }
    routers_ = std::move(socket).value();
  }
  if (!solicit_at_) {
    solicit_pause_ = kFirstSolicitPause;
    solicit_at_ = time;
  }
  if (has_link_local()) solicit(time);
}

void Port::solicit(Time time) {
  if (word_->heard) {
    solicit_at_.reset();
    return;
  }
  solicit_at_ = time + solicit_pause_;
  solicit_pause_ = std::min(solicit_pause_ * 2, kLongestSolicitPause);
  // Without an address, the kernel's own message is on its way.
  if (!routers_ || !has_link_local()) return;
  ++solicitations_;
  Result<void> sent = routers_->send_solicitation(format_router_solicitation(link_.mac));
  if (!sent.ok()) log_debug(concat(label(), ": router solicitation: ", sent.error().message()));
}

void Port::hear_routers(Time time) {
  for (uint8_t i = 0; i < kMostPackets && routers_; ++i) {
    Result<std::optional<Icmp6Message>> received = routers_->receive();
    if (!received.ok()) {
      routers_.reset();
      retry_later(time, concat("routers are not heard (", received.error().message(), ')'));
      return;
    }
    if (!received.value()) return;
    const Icmp6Message& message = *received.value();
    Result<RouterAdvertisement> parsed = parse_router_advertisement(message.bytes);
    if (!parsed.ok()) {
      log_debug(concat(label(), ": advertisement dropped: ", parsed.error().message()));
      continue;
    }
    const RouterAdvertisement& advertised = parsed.value();
    if (!word_->heard) {
      log_debug(concat(label(), ": a router speaks, ", format_ipv6(message.source)));
    }
    word_->hear(message.source, advertised, time);
    if (advertised.managed || plan_.ipv6 == Ipv6Plan::Dhcp6) {
      start_dhcp6(Dhcp6Mode::Stateful, time);
    } else if (advertised.other) {
      start_dhcp6(Dhcp6Mode::Stateless, time);
    }
  }
}

// --- DHCPv6

void Port::start_dhcp6(Dhcp6Mode mode, Time time) {
  if (dhcp6_ && (dhcp6_->mode() == mode || dhcp6_->mode() == Dhcp6Mode::Stateful)) return;
  std::optional<Ipv6> previous;
  for (const AddressConfig& address : plan_.leased6) {
    if (address.origin == Origin::Dhcp6) previous = address.prefix.address.v6();
  }
  dhcp6_.emplace(mode, duid_of(link_.mac), association_id_of(link_.mac), random_u64(), previous);
  if (has_link_local()) act(dhcp6_->on(Dhcp6Event::LinkUp, time), time);
}

void Port::act(const Dhcp6Actions& actions, Time time) {
  dhcp6_wake_ = actions.wake;
  if (!actions.note.empty()) log_warning(concat(label(), ": ", actions.note));
  if (actions.lost) drop_lease6();
  for (const ByteVector& message : actions.send) {
    // The client sends again by itself.
    if (auto sent = send6(message); !sent.ok()) {
      log_debug(concat(label(), ": DHCPv6: ", sent.error().message()));
    }
  }
  if (actions.bound) take_lease6(*actions.bound, time);
}

Result<void> Port::send6(ConstBytes message) {
  if (!datagrams6_) {
    datagrams6_ = TRY(Udp6Socket::open(link_.name, link_.index, kDhcp6ClientPort));
  }
  return datagrams6_->send(kAllDhcp6Servers, kDhcp6ServerPort, message);
}

void Port::hear_dhcp6(Time time) {
  for (uint8_t i = 0; i < kMostPackets && datagrams6_; ++i) {
    Result<std::optional<Udp6Datagram>> received = datagrams6_->receive();
    if (!received.ok()) {
      // What is sent next opens another one.
      log_debug(concat(label(), ": DHCPv6: ", received.error().message()));
      datagrams6_.reset();
      return;
    }
    if (!received.value()) return;
    Result<Dhcp6Packet> message = parse_dhcp6(received.value()->payload);
    if (!message.ok()) {
      log_debug(concat(label(), ": DHCPv6 message dropped: ", message.error().message()));
      continue;
    }
    if (dhcp6_) act(dhcp6_->on_packet(message.value(), time), time);
  }
}

// On-link prefixes and routes come from routers alone (RFC 8415 section 18.2.10.1).
void Port::take_lease6(const Dhcp6Lease& lease, Time) {
  if (lease6_) {
    for (const Dhcp6Address& old : lease6_->addresses) {
      bool kept =
          std::any_of(lease.addresses.begin(), lease.addresses.end(),
                      [&](const Dhcp6Address& address) { return address.address == old.address; });
      if (kept) continue;
      [[maybe_unused]] Result<void> removed = context_.routes.remove_address(leased_address(old));
    }
  }
  if (!lease.addresses.empty() && std::exchange(leased6_set_, false)) {
    unset_planned(plan_.leased6);
  }
  for (const Dhcp6Address& address : lease.addresses) {
    if (auto added = context_.routes.add_address(leased_address(address)); !added.ok()) {
      log_warning(concat(label(), ": cannot take ", format_ipv6(address.address)), added.error());
    } else {
      log_debug(concat(label(), ": ", format_ipv6(address.address), " by DHCPv6"));
    }
  }
  lease6_ = lease;
}

AssignedAddress Port::leased_address(const Dhcp6Address& leased) const {
  AssignedAddress address;
  address.index = link_.index;
  address.prefix = host_prefix(leased.address);
  address.flags = IFA_F_OPTIMISTIC;  // used while its duplicates are looked for (RFC 4429)
  address.valid = leased.valid;
  address.preferred = leased.preferred;
  return address;
}

void Port::drop_lease6() {
  if (!lease6_) return;
  for (const Dhcp6Address& address : lease6_->addresses) {
    [[maybe_unused]] Result<void> removed = context_.routes.remove_address(leased_address(address));
  }
  lease6_.reset();
}

// --- how far it got

std::optional<IpAddress> Port::gateway(Family family) const {
  if (family == Family::V6) {
    if (word_->router) return IpAddress(*word_->router);
    return std::nullopt;
  }
  if (!lease4_) return std::nullopt;
  for (const Route& route : lease4_->routes) {
    if (route.destination.length == 0) return route.hops[0].gateway;
  }
  return std::nullopt;
}

std::vector<NameServer> Port::name_servers(Time time) const {
  std::vector<NameServer> servers;
  if (lease4_) {
    for (Ipv4 server : lease4_->lease.nameservers) servers.push_back({server, link_.name});
  }
  for (const auto& server : word_->servers) {
    if (server.holds(time)) servers.push_back({server.what, link_.name});
  }
  if (lease6_) {
    for (const Ipv6& server : lease6_->nameservers) servers.push_back({server, link_.name});
  }
  return servers;
}

std::vector<std::string> Port::search_domains(Time time) const {
  std::vector<std::string> domains;
  auto add = [&](const std::string& domain) {
    bool known = std::find(domains.begin(), domains.end(), domain) != domains.end();
    if (!domain.empty() && !known) domains.push_back(domain);
  };
  if (lease4_) {
    for (const std::string& domain : lease4_->lease.search) add(domain);
    add(lease4_->lease.domain);
  }
  for (const auto& domain : word_->domains) {
    if (domain.holds(time)) add(domain.what);
  }
  if (lease6_) {
    for (const std::string& domain : lease6_->search) add(domain);
  }
  return domains;
}

std::string Port::report() const {
  if (!trouble_.empty()) return trouble_;
  if (!carrier()) return "no carrier; check the cable";
  return {};
}

std::string Port::report(Family family) const {
  if (family == Family::V4) {
    if (dhcp4_) return dhcp4_->progress();
    return plan_.addresses.empty() ? "not configured" : "no address of it is configured";
  }
  bool listens = plan_.ipv6 == Ipv6Plan::Auto || plan_.ipv6 == Ipv6Plan::Dhcp6;
  if (!listens) return "not configured";
  if (!word_->heard) {
    return concat("no router answers ", solicitations_, " solicitation",
                  solicitations_ == 1 ? "" : "s");
  }
  if (dhcp6_) return dhcp6_->progress();
  return "a router answers, but gives no addresses";
}

}  // namespace curlingiron
