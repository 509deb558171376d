#include "net/join/dhcp4_on_link.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "formats/arp.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

// A server that gives nothing for so long gives nothing at all: what it gave the running system
// before is used then.
constexpr Duration kLeasePatience = 6s;
constexpr uint8_t kMostPackets = 64;  // of one socket, before the others have their turn

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

// The routes of a lease. A gateway is taken as on the link: a /32 address has no other path to it.
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

void Dhcp4OnLink::start(Time time) {
  if (!packets_) {
    Result<PacketSocket> socket = PacketSocket::open(link_.now().index, kDhcpClientPort);
    if (!socket.ok()) {
      // The kernel asks for the module itself; until it is there, come back.
      link_.retry_later(time, concat("no packet socket for DHCP (", socket.error().message(), ')'));
      return;
    }
    packets_ = std::move(socket).value();
  }
  if (!arp_) {
    Result<ArpSocket> socket = ArpSocket::open(link_.now().index);
    if (socket.ok()) {
      arp_ = std::move(socket).value();
    } else {
      log_debug(concat(link_.label(), ": no look-out for conflicts: ", socket.error().message()));
    }
  }
  if (!client_) {
    client_.emplace(link_.now().mac, link_.context().hostname, random_u64(), plan_.previous());
    probe_previous();
  }
  act(client_->on(DhcpEvent::LinkUp, time), time);
}

void Dhcp4OnLink::on_carrier(bool carrier, Time time) {
  wanted_since_.reset();
  if (carrier && !address_) wanted_since_ = time;
  if (!carrier && client_) act(client_->on(DhcpEvent::LinkDown, time), time);
}

void Dhcp4OnLink::on_address_removed(const AssignedAddress& address) {
  if (!address_ || !same_address(*address_, address)) return;
  address_.reset();
  routes_.clear();
  take(DhcpLease(lease_));
}

void Dhcp4OnLink::on_time(Time time) {
  if (client_wake_ && time >= *client_wake_) act(client_->on(DhcpEvent::Timer, time), time);
  bool waited = wanted_since_ && time >= *wanted_since_ + kLeasePatience;
  if (!waited || !may_fall_back()) return;
  // No server gives what one gave the running system: its lease still runs.
  log_warning(concat(link_.label(),
                     ": no DHCP server answers; the address that the running system had is taken"));
  link_.set_addresses(plan_.leased4);
  previous_set_ = true;
}

std::optional<Time> Dhcp4OnLink::wake() const {
  std::optional<Time> next = client_wake_;
  if (wanted_since_ && may_fall_back()) {
    Time fall_back = *wanted_since_ + kLeasePatience;
    if (!next || fall_back < *next) next = fall_back;
  }
  return next;
}

bool Dhcp4OnLink::may_fall_back() const {
  return !previous_set_ && !previous_taken_ && !plan_.leased4.empty() && !address_;
}

void Dhcp4OnLink::add_descriptors(std::vector<PollItem>& items) const {
  if (packets_) items.push_back(PollItem{packets_->fd()});
  if (arp_) items.push_back(PollItem{arp_->fd()});
}

void Dhcp4OnLink::hear(Time time) {
  hear_packets(time);
  hear_arp(time);
}

void Dhcp4OnLink::leave() {
  drop();
  if (previous_set_) link_.unset_addresses(plan_.leased4);
}

std::optional<IpAddress> Dhcp4OnLink::gateway() const {
  if (!address_) return std::nullopt;
  for (const Route& route : routes_) {
    if (route.destination.length == 0) return route.hops[0].gateway;
  }
  return std::nullopt;
}

std::optional<std::string> Dhcp4OnLink::progress() const {
  if (!client_) return std::nullopt;
  return client_->progress();
}

void Dhcp4OnLink::act(const DhcpActions& actions, Time time) {
  client_wake_ = actions.wake;
  if (!actions.note.empty()) log_warning(concat(link_.label(), ": ", actions.note));
  if (actions.lost) {
    drop();
    wanted_since_ = time;
    probe_previous();
  }
  for (const DhcpMessage& message : actions.send) send(message);
  if (actions.probe) probe(*actions.probe);
  if (!actions.bound) return;
  for (const std::string& what : actions.bound->ignored) {
    log_warning(concat(link_.label(), ": DHCP: ", what, "; left out"));
  }
  if (link_.context().mtu == 0 && actions.bound->mtu) {
    link_.set_mtu(*actions.bound->mtu, plan_.ipv6 != Ipv6Plan::Off);
  }
  take(*actions.bound);
}

// Before the running system's address is taken without a server's word, others have time to claim
// it.
void Dhcp4OnLink::probe_previous() {
  for (const AddressConfig& address : plan_.leased4) probe(address.prefix.address.v4());
}

void Dhcp4OnLink::probe(Ipv4 address) {
  if (!arp_) return;
  Result<void> asked = arp_->broadcast(format_arp(arp_probe(link_.now().mac, address)));
  if (!asked.ok()) log_debug(concat(link_.label(), ": ARP: ", asked.error().message()));
}

void Dhcp4OnLink::send(const DhcpMessage& message) {
  if (message.server && datagrams_) {
    Result<void> sent = datagrams_->send(*message.server, kDhcpServerPort, message.payload);
    if (sent.ok()) return;
    log_debug(concat(link_.label(), ": DHCP by unicast: ", sent.error().message()));
  }
  UdpAddresses addresses;
  if (message.server && address_) addresses.source = lease_.address;
  addresses.source_port = kDhcpClientPort;
  addresses.destination = Ipv4{0xffffffff};
  addresses.destination_port = kDhcpServerPort;
  if (!packets_) return;
  Result<void> sent = packets_->broadcast(format_udp_packet(addresses, message.payload));
  // The client sends again by itself.
  if (!sent.ok()) log_debug(concat(link_.label(), ": DHCP: ", sent.error().message()));
}

void Dhcp4OnLink::hear_packets(Time time) {
  for (uint8_t i = 0; i < kMostPackets && packets_; ++i) {
    Result<std::optional<RawPacket>> received = packets_->receive();
    if (!received.ok()) {
      log_warning(link_.label(), received.error());
      packets_.reset();
      link_.retry_later(time, received.error().message());
      return;
    }
    if (!received.value()) return;
    const RawPacket& packet = *received.value();
    Result<UdpDatagram> datagram =
        parse_udp_packet(packet.bytes, kDhcpClientPort, packet.checksum_ready);
    if (!datagram.ok()) {
      log_debug(concat(link_.label(), ": packet dropped: ", datagram.error().message()));
      continue;
    }
    Result<DhcpPacket> message = parse_dhcp(datagram.value().payload);
    if (!message.ok()) {
      log_debug(concat(link_.label(), ": DHCP message dropped: ", message.error().message()));
      continue;
    }
    act(client_->on_packet(message.value(), time), time);
  }
}

void Dhcp4OnLink::hear_arp(Time time) {
  for (uint8_t i = 0; i < kMostPackets && arp_; ++i) {
    Result<std::optional<ByteVector>> received = arp_->receive();
    if (!received.ok()) {
      log_debug(concat(link_.label(), ": ARP: ", received.error().message()));
      arp_.reset();
      return;
    }
    if (!received.value()) return;
    Result<ArpPacket> packet = parse_arp(*received.value());
    if (!packet.ok() || !client_) continue;
    if (std::optional<Ipv4> claimed = arp_claim(packet.value(), link_.now().mac)) {
      bool previous = std::any_of(plan_.leased4.begin(), plan_.leased4.end(),
                                  [&](const AddressConfig& address) {
                                    return address.prefix.address == IpAddress(*claimed);
                                  });
      previous_taken_ = previous_taken_ || previous;
      act(client_->on_conflict(*claimed, time), time);
    }
  }
}

void Dhcp4OnLink::take(const DhcpLease& lease) {
  AssignedAddress address;
  address.index = link_.now().index;
  address.prefix = {lease.address, lease.prefix_length};
  address.broadcast = lease.broadcast;
  // Routes are our own: the kernel's has no metric of this NIC.
  address.flags = IFA_F_NOPREFIXROUTE;
  std::vector<Route> routes = routes_of(lease, link_.now().index, metric_);
  if (address_ && same_address(*address_, address) && routes_ == routes) {
    lease_ = lease;
    return;
  }
  if (std::exchange(previous_set_, false)) link_.unset_addresses(plan_.leased4);
  // The new one first: with the last address of an interface go all its routes.
  if (auto added = link_.routes().add_address(address); !added.ok()) {
    drop();
    link_.note_trouble(
        concat("cannot take ", format_ipv4(lease.address), " (", added.error().message(), ')'));
    return;
  }
  drop_other_than(address, routes);
  for (const Route& route : routes) {
    if (auto added = link_.routes().add_route(route); !added.ok()) {
      log_warning(concat(link_.label(), ": no route to ", format_prefix(route.destination)),
                  added.error());
    }
  }
  if (!datagrams_) {
    Result<DatagramSocket> socket = DatagramSocket::open(link_.now().name, kDhcpClientPort);
    if (socket.ok()) {
      datagrams_ = std::move(socket).value();
    } else {
      // Renewals are broadcast then, which serves as well.
      log_debug(concat(link_.label(), ": ", socket.error().message()));
    }
  }
  link_.clear_trouble();
  address_ = address;
  lease_ = lease;
  routes_ = std::move(routes);
  log_debug(concat(link_.label(), ": ", format_prefix(address_->prefix), " by DHCP"));
}

// What the old lease had and the new one has not.
void Dhcp4OnLink::drop_other_than(const AssignedAddress& address,
                                  const std::vector<Route>& routes) {
  if (!address_) return;
  if (!same_address(*address_, address)) {
    drop();
    return;
  }
  for (const Route& route : routes_) {
    bool kept = std::find(routes.begin(), routes.end(), route) != routes.end();
    if (kept) continue;
    // It may have gone by itself.
    [[maybe_unused]] Result<void> removed = link_.routes().remove_route(route);
  }
}

// Routes go with the address that they prefer.
void Dhcp4OnLink::drop() {
  if (!address_) return;
  if (auto removed = link_.routes().remove_address(*address_);
      !removed.ok() && removed.error().code() != EADDRNOTAVAIL &&
      removed.error().code() != ENODEV) {
    log_warning(concat(link_.label(), ": ", format_prefix(address_->prefix), " stays"),
                removed.error());
  }
  address_.reset();
  routes_.clear();
}

}  // namespace curlingiron
