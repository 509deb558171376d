#include "net/join/dhcp_client.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr Duration kFirstRetry = 500ms;
constexpr Duration kLongestRetry = 8s;
constexpr unsigned kBroadcastAfter = 2;    // failures, before the broadcast flag is set
constexpr unsigned kRequestTries = 5;      // of one offer, before a new search
constexpr unsigned kReturnTries = 3;       // to keep the lease, before a search beside it
constexpr unsigned kTriesBeforeSpare = 2;  // of one offer, where another server made one as well
// Between attempts to renew: RFC 2131 section 4.4.5 wants a minute, which a short lease does not
// have.
constexpr Duration kRenewalRetry = 60s;
constexpr Duration kShortestRenewalRetry = 2s;
constexpr int kRetriesOfALease = 20;
constexpr Duration kShortestLease = 10s;    // shorter ones would only make traffic
constexpr Duration kLongestLease = 87600h;  // ten years: sums of times stay in range
constexpr Duration kShortestRenewal = kShortestLease / 2;
constexpr Duration kAfterDecline = 10s;  // RFC 2131 section 3.1.5
constexpr uint16_t kMaxMessage = 1472;   // bytes; fits every Ethernet frame
constexpr Time kNever = Time::max();

ByteVector be32_bytes(uint32_t value) {
  ByteWriter out;
  out.be32(value);
  return std::move(out).bytes();
}

}  // namespace

DhcpClient::DhcpClient(const MacAddress& mac, std::string host_name, uint64_t seed,
                       std::optional<Ipv4> previous)
    : mac_(mac), host_name_(std::move(host_name)), random_(seed), previous_(previous) {}

// Within an eighth of the base, so that machines that start together spread.
Duration DhcpClient::jittered(Duration base) {
  return random_.between(base - base / 8, base + base / 8);
}

// --- messages

DhcpPacket DhcpClient::message(DhcpType type, Time now) const {
  DhcpPacket packet;
  packet.type = type;
  packet.xid = xid_;
  packet.mac = mac_;
  int64_t elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - began_).count();
  packet.seconds = static_cast<uint16_t>(std::clamp<int64_t>(elapsed, 0, 0xffff));
  ByteVector& id = packet.options[static_cast<uint8_t>(DhcpOption::ClientId)];
  id.push_back(1);
  id.insert(id.end(), mac_.begin(), mac_.end());
  return packet;
}

// A message that is to be answered with a lease.
DhcpPacket DhcpClient::query(DhcpType type, Time now) const {
  DhcpPacket packet = message(type, now);
  // Some drivers and switches lose unicast to a host that has no address yet.
  packet.broadcast = failures_ >= kBroadcastAfter && !lease_;
  auto option = [&](DhcpOption code) -> ByteVector& {
    return packet.options[static_cast<uint8_t>(code)];
  };
  if (!host_name_.empty()) {
    ConstBytes text = as_bytes(host_name_);
    option(DhcpOption::HostName).assign(text.begin(), text.end());
  }
  option(DhcpOption::MaxMessageSize) = {kMaxMessage >> 8, kMaxMessage & 0xff};
  // 121 before 3, as RFC 3442 wants.
  option(DhcpOption::ParameterList) = {1,  121, 3,  6,  12, 15,  26,  28,
                                       42, 51,  54, 58, 59, 119, 224, 249};
  return packet;
}

bool DhcpClient::may_send(Time now) {
  if (budget_.take(now)) return true;
  wake_ = budget_.free_at();
  return false;
}

void DhcpClient::send(const DhcpPacket& packet, std::optional<Ipv4> server, DhcpActions& actions) {
  actions.send.push_back({format_dhcp(packet), server});
}

void DhcpClient::retry_later(Time now) {
  Duration wait = kFirstRetry * (1 << std::min(tries_, 4U));
  ++tries_;
  wake_ = now + jittered(std::min(wait, kLongestRetry));
}

void DhcpClient::send_discover(Time now, DhcpActions& actions) {
  if (!may_send(now)) return;
  if (tries_ > 0) ++failures_;
  ++discovers_;
  DhcpPacket packet = query(DhcpType::Discover, now);
  if (previous_) {
    packet.options[static_cast<uint8_t>(DhcpOption::RequestedAddress)] =
        be32_bytes(previous_->value);
  }
  send(packet, std::nullopt, actions);
  retry_later(now);
}

void DhcpClient::send_request(Time now, DhcpActions& actions) {
  if (!may_send(now)) return;
  if (tries_ > 0) ++failures_;
  DhcpPacket packet = query(DhcpType::Request, now);
  packet.options[static_cast<uint8_t>(DhcpOption::RequestedAddress)] =
      be32_bytes(offer_->address.value);
  if (offer_->server) {
    packet.options[static_cast<uint8_t>(DhcpOption::ServerId)] = be32_bytes(offer_->server->value);
  }
  send(packet, std::nullopt, actions);
  bool held = lease_ && lease_->address == offer_->address;
  if (!held) probe(offer_->address, now, actions);
  retry_later(now);
}

// The server cannot be asked by unicast when the link was away: it may be another network by now.
void DhcpClient::send_renewal(Time now, DhcpActions& actions) {
  if (!may_send(now)) return;
  DhcpPacket packet = query(DhcpType::Request, now);
  packet.client = lease_->address;
  bool unicast = state_ == State::Renewing && lease_->server.has_value();
  send(packet, unicast ? lease_->server : std::nullopt, actions);
  if (state_ == State::Returning) {
    retry_later(now);
  } else {
    renew_later(now, state_ == State::Renewing ? rebind_at_ : expires_at_);
  }
}

// RFC 2131 table 5: nothing but the address, the server and the client.
void DhcpClient::send_decline(const DhcpLease& lease, Time now, DhcpActions& actions) {
  if (!may_send(now)) return;
  DhcpPacket packet = message(DhcpType::Decline, now);
  packet.seconds = 0;
  packet.options[static_cast<uint8_t>(DhcpOption::RequestedAddress)] =
      be32_bytes(lease.address.value);
  if (lease.server) {
    packet.options[static_cast<uint8_t>(DhcpOption::ServerId)] = be32_bytes(lease.server->value);
  }
  send(packet, std::nullopt, actions);
}

// Half of what is left until `limit`, but not in quick succession.
void DhcpClient::renew_later(Time now, Time limit) {
  Duration least = std::clamp<Duration>((expires_at_ - bound_at_) / kRetriesOfALease,
                                        kShortestRenewalRetry, kRenewalRetry);
  wake_ = std::min(limit, now + std::max<Duration>((limit - now) / 2, least));
}

// A probe may be lost, so each REQUEST brings another; the first one's time counts.
void DhcpClient::probe(Ipv4 address, Time now, DhcpActions& actions) {
  actions.probe = address;
  if (!probe_ || probe_->address != address) probe_ = Probe{address, now};
}

// --- states

void DhcpClient::begin(Time now, Duration wait, DhcpActions& actions) {
  state_ = State::Selecting;
  xid_ = static_cast<uint32_t>(random_.next());
  began_ = now;
  tries_ = 0;
  failures_ = 0;
  offer_.reset();
  spare_.reset();
  probe_.reset();
  if (wait > 0s) {
    wake_ = now + wait;
  } else {
    send_discover(now, actions);
  }
}

// A server that refuses each time must not be asked in a tight loop.
void DhcpClient::restart_after_refusal(Time now, DhcpActions& actions) {
  Duration wait = 0s;
  if (refusals_ > 1) {
    wait = jittered(
        std::min<Duration>(kFirstRetry * (1 << std::min(refusals_ - 2, 4U)), kLongestRetry));
  }
  begin(now, wait, actions);
}

// The link is there again, and with it perhaps another network: ask whoever is there, at once.
void DhcpClient::come_back(Time now, DhcpActions& actions) {
  if (lease_ && now >= expires_at_) lose(actions);
  if (!lease_) {
    refusals_ = 0;
    begin(now, 0s, actions);
    return;
  }
  state_ = State::Returning;
  xid_ = static_cast<uint32_t>(random_.next());
  began_ = now;
  tries_ = 0;
  offer_.reset();
  spare_.reset();
  probe_.reset();
  send_renewal(now, actions);
}

void DhcpClient::ask_for(const DhcpLease& offer, Time now, DhcpActions& actions) {
  offer_ = offer;
  state_ = State::Requesting;
  tries_ = 0;
  send_request(now, actions);
}

void DhcpClient::ask_spare(Time now, DhcpActions& actions) {
  DhcpLease spare = *spare_;
  spare_.reset();
  ask_for(spare, now, actions);
}

void DhcpClient::accept(const DhcpLease& lease, Time now, DhcpActions& actions) {
  // A claim that comes late concerns an address that is new.
  if (!lease_ || lease_->address != lease.address) bound_at_ = now;
  bool first = probe_.has_value();
  state_ = State::Bound;
  lease_ = lease;
  offer_.reset();
  spare_.reset();
  probe_.reset();
  previous_ = lease.address;
  refusals_ = 0;
  tries_ = 0;
  failures_ = 0;
  if (!first) declines_ = 0;
  if (lease.duration) {
    Duration total = std::clamp<Duration>(*lease.duration, kShortestLease, kLongestLease);
    lease_->duration = total;
    Duration rebind = lease.rebinding.value_or(total / 8 * 7);
    if (rebind <= 0s || rebind >= total) rebind = total / 8 * 7;
    Duration renew = lease.renewal.value_or(total / 2);
    if (renew <= 0s || renew >= rebind) renew = std::min(total / 2, rebind / 2);
    renew = std::max<Duration>(renew, kShortestRenewal);
    renew_at_ = now + renew;
    rebind_at_ = now + rebind;
    expires_at_ = now + total;
  } else {
    renew_at_ = rebind_at_ = expires_at_ = kNever;
  }
  wake_ = renew_at_;
  actions.bound = lease_;
  actions.lost = false;
}

void DhcpClient::lose(DhcpActions& actions) {
  lease_.reset();
  actions.lost = true;
  actions.bound.reset();
}

DhcpActions DhcpClient::finish(DhcpActions actions) const {
  if (link_ && state_ != State::Idle && wake_ != kNever) actions.wake = wake_;
  // A lease ends also while the cable is out, or while another one is looked for.
  if (lease_ && expires_at_ != kNever) {
    actions.wake = std::min(actions.wake.value_or(expires_at_), expires_at_);
  }
  return actions;
}

DhcpActions DhcpClient::on(DhcpEvent event, Time now) {
  DhcpActions actions;
  switch (event) {
    case DhcpEvent::LinkDown: link_ = false; break;
    case DhcpEvent::LinkUp:
      if (!std::exchange(link_, true)) come_back(now, actions);
      break;
    case DhcpEvent::Timer: pass_time(now, actions); break;
  }
  return finish(std::move(actions));
}

void DhcpClient::pass_time(Time now, DhcpActions& actions) {
  if (lease_ && now >= expires_at_) {
    lose(actions);
    actions.note = "the lease has expired";
    if (!link_) {
      state_ = State::Idle;
      return;
    }
    // A search that is on its way goes on.
    bool searching =
        state_ == State::Selecting || state_ == State::Requesting || state_ == State::Probing;
    if (!searching) {
      begin(now, 0s, actions);
      return;
    }
  }
  if (!link_ || now < wake_) return;
  switch (state_) {
    case State::Idle: break;
    case State::Selecting: send_discover(now, actions); break;
    case State::Requesting:
      if (spare_ && tries_ >= kTriesBeforeSpare) {
        ask_spare(now, actions);
      } else if (tries_ >= kRequestTries) {
        // The same transaction: an ACK that comes late is welcome, and so is any offer.
        state_ = State::Selecting;
        tries_ = 0;
        ++failures_;
        send_discover(now, actions);
      } else {
        send_request(now, actions);
      }
      break;
    case State::Probing: accept(*offer_, now, actions); break;
    case State::Bound:
    case State::Renewing:
    case State::Rebinding:
      if (state_ == State::Bound) {
        xid_ = static_cast<uint32_t>(random_.next());
        began_ = now;
      }
      state_ = now >= rebind_at_ ? State::Rebinding : State::Renewing;
      send_renewal(now, actions);
      break;
    case State::Returning:
      // Servers that do not know the address say nothing (RFC 2131 section 4.3.2). The lease is
      // kept until one gives another.
      if (tries_ >= kReturnTries) {
        begin(now, 0s, actions);
      } else {
        send_renewal(now, actions);
      }
      break;
  }
}

// --- what comes in

DhcpActions DhcpClient::on_packet(const DhcpPacket& packet, Time now) {
  DhcpActions actions;
  bool ours =
      packet.operation == DhcpOperation::Reply && packet.xid == xid_ && packet.mac == mac_ && link_;
  bool awaited = false;
  switch (state_) {
    case State::Idle:
    case State::Bound: break;
    case State::Selecting:
      awaited = packet.type == DhcpType::Offer || (packet.type == DhcpType::Ack && offer_);
      break;
    case State::Requesting: awaited = true; break;
    case State::Probing: awaited = packet.type == DhcpType::Nak; break;
    case State::Renewing:
    case State::Rebinding:
    case State::Returning: awaited = packet.type != DhcpType::Offer; break;
  }
  if (!ours || !awaited) return finish(std::move(actions));
  if (packet.type == DhcpType::Nak) {
    take_nak(packet, now, actions);
    return finish(std::move(actions));
  }
  if (packet.type != DhcpType::Offer && packet.type != DhcpType::Ack) {
    return finish(std::move(actions));
  }
  Result<DhcpLease> granted = lease_of(packet);
  if (!granted.ok()) {
    actions.note = granted.error().message();
  } else if (packet.type == DhcpType::Offer) {
    take_offer(granted.value(), now, actions);
  } else {
    take_ack(std::move(granted).value(), now, actions);
  }
  return finish(std::move(actions));
}

void DhcpClient::take_offer(const DhcpLease& offer, Time now, DhcpActions& actions) {
  if (state_ == State::Selecting) {
    // Another server may have something better than what was just declined.
    if (declines_ > 0 && offer.address == conflict_ && tries_ <= 1) return;
    ++offers_;
    ask_for(offer, now, actions);
  } else if (!spare_ && offer.server && offer.server != offer_->server) {
    spare_ = offer;
  }
}

void DhcpClient::take_ack(DhcpLease lease, Time now, DhcpActions& actions) {
  // Another server, another address: nobody asked for that.
  bool stranger = offer_ && offer_->server && lease.server && lease.server != offer_->server &&
                  lease.address != offer_->address;
  if (stranger) return;
  // A server that leaves its id out of the ACK is the one that was asked.
  if (!lease.server && offer_) lease.server = offer_->server;
  if (!lease.server && lease_) lease.server = lease_->server;
  bool kept = lease_ && lease_->address == lease.address;
  if (!kept && (!probe_ || probe_->address != lease.address)) probe(lease.address, now, actions);
  if (kept || now >= probe_->at + kDhcpProbeTime) {
    accept(lease, now, actions);
    return;
  }
  state_ = State::Probing;
  offer_ = std::move(lease);
  wake_ = probe_->at + kDhcpProbeTime;
}

void DhcpClient::take_nak(const DhcpPacket& packet, Time now, DhcpActions& actions) {
  // Another server's NAK does not concern the offer that was taken, nor a lease that is not yet to
  // be had from others.
  std::optional<Ipv4> asked;
  if (offer_) {
    asked = offer_->server;
  } else if (state_ == State::Renewing) {
    asked = lease_->server;
  }
  auto id = packet.options.find(static_cast<uint8_t>(DhcpOption::ServerId));
  if (asked && id != packet.options.end() && id->second != be32_bytes(asked->value)) return;
  auto why = packet.options.find(static_cast<uint8_t>(DhcpOption::Message));
  actions.note = "the DHCP server refused the address";
  if (why != packet.options.end()) {
    actions.note += concat(" (", printable(as_text(why->second), 80), ")");
  }
  ++refusals_;
  if (spare_) {
    ask_spare(now, actions);
    return;
  }
  // A NAK while another lease is looked for does not concern the one that is held.
  if (lease_ && !offer_) lose(actions);
  restart_after_refusal(now, actions);
}

DhcpActions DhcpClient::on_conflict(Ipv4 address, Time now) {
  DhcpActions actions;
  bool asked = offer_ && offer_->address == address && (!lease_ || lease_->address != address);
  bool fresh =
      state_ == State::Bound && lease_->address == address && now < bound_at_ + kDhcpConflictWindow;
  if (!link_ || (!asked && !fresh)) return finish(std::move(actions));
  DhcpLease taken = asked ? *offer_ : *lease_;
  send_decline(taken, now, actions);
  if (fresh) lose(actions);
  if (previous_ == address) previous_.reset();
  ++declines_;
  conflict_ = address;
  actions.note = concat("somebody else has ", format_ipv4(address), ", which the DHCP server gave");
  begin(now, declines_ > 1 ? kAfterDecline + jittered(kFirstRetry) : Duration(0), actions);
  return finish(std::move(actions));
}

std::string DhcpClient::progress() const {
  auto times = [](unsigned count, std::string_view noun) {
    return concat(count, ' ', noun, count == 1 ? "" : "s");
  };
  if (lease_) return concat("has ", format_ipv4(lease_->address));
  if (discovers_ == 0) return "DHCP has not started";
  if (declines_ > 0) {
    return concat("somebody else has ", format_ipv4(*conflict_), ", which the DHCP server gave");
  }
  if (offers_ == 0) return concat("no DHCP offer after ", times(discovers_, "discover"));
  if (refusals_ > 0) return concat("the DHCP server refused ", times(refusals_, "request"));
  return concat("a DHCP offer came, but no acknowledgement of ", times(offers_, "request"));
}

}  // namespace curlingiron
