#include "net/join/ipv6_on_link.h"

#include <linux/if_addr.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "formats/router_advertisement.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

// What routers do not give for so long they do not give at all: what they gave the running system
// before is used then.
constexpr Duration kRouterPatience = 6s;
// Solicitations of routers (RFC 7559): the kernel sends its own, but only after the detection of
// duplicate addresses, a second after the link is up.
constexpr Duration kFirstSolicitPause = 1s;
constexpr Duration kLongestSolicitPause = 16s;
constexpr uint8_t kMostPackets = 64;  // of one socket, before the others have their turn

}  // namespace

void Ipv6OnLink::start(Time time) {
  if (!socket_) {
    Result<Icmp6Socket> socket = Icmp6Socket::open(link_.now().name, link_.now().index);
    if (!socket.ok()) {
      log_debug(concat(link_.label(), ": routers are not heard: ", socket.error().message()));
      return;
    }
    socket_ = std::move(socket).value();
  }
  if (!solicit_at_) {
    solicit_pause_ = kFirstSolicitPause;
    solicit_at_ = time;
  }
  if (has_link_local_) solicit(time);
}

void Ipv6OnLink::on_carrier(bool carrier, Time time) {
  carrier_since_.reset();
  if (carrier) {
    carrier_since_ = time;
    state_.forget_who_spoke();
    // The link-local address may have stayed; else on_link_local() follows.
    if (client_ && has_link_local_) act(client_->on(Dhcp6Event::LinkUp, time));
  } else {
    if (client_) act(client_->on(Dhcp6Event::LinkDown, time));
    solicit_at_.reset();
  }
}

void Ipv6OnLink::on_link_local(bool there, Time time) {
  if (std::exchange(has_link_local_, there) || !there) return;
  if (solicit_at_) solicit(time);
  if (client_) {
    act(client_->on(Dhcp6Event::LinkUp, time));
  } else if (plan_.ipv6 == Ipv6Plan::Dhcp6) {
    start_dhcp(Dhcp6Mode::Stateful, time);
  }
}

void Ipv6OnLink::on_duplicate(const Ipv6& address, Time time) {
  if (client_) act(client_->on_duplicate(address, time));
}

void Ipv6OnLink::on_time(Time time, bool usable) {
  if (client_wake_ && time >= *client_wake_) act(client_->on(Dhcp6Event::Timer, time));
  if (solicit_at_ && time >= *solicit_at_) solicit(time);
  bool waited = carrier_since_ && time >= *carrier_since_ + kRouterPatience;
  if (!waited || !may_fall_back(usable)) return;
  log_warning(concat(link_.label(),
                     ": no router answers; the IPv6 addresses that the running system had are "
                     "taken"));
  link_.set_addresses(plan_.leased6);
  previous_set_ = true;
}

std::optional<Time> Ipv6OnLink::wake(bool usable) const {
  std::optional<Time> next = client_wake_;
  auto sooner = [&](const std::optional<Time>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  sooner(solicit_at_);
  if (carrier_since_ && may_fall_back(usable)) sooner(*carrier_since_ + kRouterPatience);
  return next;
}

bool Ipv6OnLink::may_fall_back(bool usable) const {
  return !previous_set_ && !plan_.leased6.empty() && !usable;
}

void Ipv6OnLink::add_descriptors(std::vector<PollItem>& items) const {
  if (socket_) items.push_back(PollItem{socket_->fd()});
  if (datagrams_) items.push_back(PollItem{datagrams_->fd()});
}

void Ipv6OnLink::hear(Time time) {
  hear_routers(time);
  hear_dhcp(time);
}

void Ipv6OnLink::leave() {
  drop();
  if (previous_set_) link_.unset_addresses(plan_.leased6);
}

bool Ipv6OnLink::is_leased(const Ipv6& address) const {
  return lease_ &&
         std::any_of(lease_->addresses.begin(), lease_->addresses.end(),
                     [&](const Dhcp6Address& leased) { return leased.address == address; });
}

std::string Ipv6OnLink::progress() const {
  if (!state_.heard()) {
    return concat("no router answers ", solicitations_, " solicitation",
                  solicitations_ == 1 ? "" : "s");
  }
  if (client_) return client_->progress();
  return "a router answers, but gives no addresses";
}

// --- routers

void Ipv6OnLink::solicit(Time time) {
  if (state_.heard()) {
    solicit_at_.reset();
    return;
  }
  solicit_at_ = time + solicit_pause_;
  solicit_pause_ = std::min(solicit_pause_ * 2, kLongestSolicitPause);
  // Without an address, the kernel's own message is on its way.
  if (!socket_ || !has_link_local_) return;
  ++solicitations_;
  Result<void> sent = socket_->send_solicitation(format_router_solicitation(link_.now().mac));
  if (!sent.ok()) {
    log_debug(concat(link_.label(), ": router solicitation: ", sent.error().message()));
  }
}

void Ipv6OnLink::hear_routers(Time time) {
  for (uint8_t i = 0; i < kMostPackets && socket_; ++i) {
    Result<std::optional<Icmp6Message>> received = socket_->receive();
    if (!received.ok()) {
      socket_.reset();
      link_.retry_later(time, concat("routers are not heard (", received.error().message(), ')'));
      return;
    }
    if (!received.value()) return;
    const Icmp6Message& message = *received.value();
    Result<RouterAdvertisement> parsed = parse_router_advertisement(message.bytes);
    if (!parsed.ok()) {
      log_debug(concat(link_.label(), ": advertisement dropped: ", parsed.error().message()));
      continue;
    }
    const RouterAdvertisement& advertised = parsed.value();
    if (!state_.heard()) {
      log_debug(concat(link_.label(), ": a router speaks, ", format_ipv6(message.source)));
    }
    state_.hear(message.source, advertised, time);
    if (advertised.managed || plan_.ipv6 == Ipv6Plan::Dhcp6) {
      start_dhcp(Dhcp6Mode::Stateful, time);
    } else if (advertised.other) {
      start_dhcp(Dhcp6Mode::Stateless, time);
    }
  }
}

// --- DHCPv6

void Ipv6OnLink::start_dhcp(Dhcp6Mode mode, Time time) {
  if (client_ && (client_->mode() == mode || client_->mode() == Dhcp6Mode::Stateful)) return;
  std::optional<Ipv6> previous;
  for (const AddressConfig& address : plan_.leased6) {
    if (address.origin == Origin::Dhcp6) previous = address.prefix.address.v6();
  }
  const MacAddress& mac = link_.now().mac;
  client_.emplace(mode, duid_of(mac), association_id_of(mac), random_u64(), previous);
  if (has_link_local_) act(client_->on(Dhcp6Event::LinkUp, time));
}

void Ipv6OnLink::act(const Dhcp6Actions& actions) {
  client_wake_ = actions.wake;
  if (!actions.note.empty()) log_warning(concat(link_.label(), ": ", actions.note));
  if (actions.lost) drop();
  for (const ByteVector& message : actions.send) {
    // The client sends again by itself.
    if (auto sent = send(message); !sent.ok()) {
      log_debug(concat(link_.label(), ": DHCPv6: ", sent.error().message()));
    }
  }
  if (actions.bound) take(*actions.bound);
}

Result<void> Ipv6OnLink::send(ConstBytes message) {
  if (!datagrams_) {
    datagrams_ = TRY(Udp6Socket::open(link_.now().name, link_.now().index, kDhcp6ClientPort));
  }
  return datagrams_->send(kAllDhcp6Servers, kDhcp6ServerPort, message);
}

void Ipv6OnLink::hear_dhcp(Time time) {
  for (uint8_t i = 0; i < kMostPackets && datagrams_; ++i) {
    Result<std::optional<Udp6Datagram>> received = datagrams_->receive();
    if (!received.ok()) {
      // What is sent next opens another one.
      log_debug(concat(link_.label(), ": DHCPv6: ", received.error().message()));
      datagrams_.reset();
      return;
    }
    if (!received.value()) return;
    Result<Dhcp6Packet> message = parse_dhcp6(received.value()->payload);
    if (!message.ok()) {
      log_debug(concat(link_.label(), ": DHCPv6 message dropped: ", message.error().message()));
      continue;
    }
    if (client_) act(client_->on_packet(message.value(), time));
  }
}

// On-link prefixes and routes come from routers alone (RFC 8415 section 18.2.10.1).
void Ipv6OnLink::take(const Dhcp6Lease& lease) {
  if (lease_) {
    for (const Dhcp6Address& old : lease_->addresses) {
      bool kept =
          std::any_of(lease.addresses.begin(), lease.addresses.end(),
                      [&](const Dhcp6Address& address) { return address.address == old.address; });
      if (kept) continue;
      [[maybe_unused]] Result<void> removed = link_.routes().remove_address(leased_address(old));
    }
  }
  if (!lease.addresses.empty() && std::exchange(previous_set_, false)) {
    link_.unset_addresses(plan_.leased6);
  }
  for (const Dhcp6Address& address : lease.addresses) {
    if (auto added = link_.routes().add_address(leased_address(address)); !added.ok()) {
      log_warning(concat(link_.label(), ": cannot take ", format_ipv6(address.address)),
                  added.error());
    } else {
      log_debug(concat(link_.label(), ": ", format_ipv6(address.address), " by DHCPv6"));
    }
  }
  lease_ = lease;
}

AssignedAddress Ipv6OnLink::leased_address(const Dhcp6Address& leased) const {
  AssignedAddress address;
  address.index = link_.now().index;
  address.prefix = host_prefix(leased.address);
  address.flags = IFA_F_OPTIMISTIC;  // used while its duplicates are looked for (RFC 4429)
  address.valid = leased.valid;
  address.preferred = leased.preferred;
  return address;
}

void Ipv6OnLink::drop() {
  if (!lease_) return;
  for (const Dhcp6Address& address : lease_->addresses) {
    [[maybe_unused]] Result<void> removed = link_.routes().remove_address(leased_address(address));
  }
  lease_.reset();
}

}  // namespace curlingiron
