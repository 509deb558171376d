#include "net/dhcp_client.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr Duration kFirstRetry = 500ms;
constexpr Duration kLongestRetry = 8s;
constexpr unsigned kBroadcastAfter = 2;   // failures, before the broadcast flag is set
constexpr unsigned kRequestTries = 5;     // of one offer, before a new search
constexpr Duration kRenewalRetry = 60s;   // RFC 2131 section 4.4.5: at least
constexpr Duration kShortestLease = 10s;  // shorter ones would only make traffic
constexpr uint16_t kMaxMessage = 1472;    // bytes; fits every Ethernet frame
constexpr Time kNever = Time::max();

ByteVector be32_bytes(uint32_t value) {
  ByteWriter out;
  out.be32(value);
  return std::move(out).bytes();
}

}  // namespace

DhcpClient::DhcpClient(const MacAddress& mac, std::string host_name, uint64_t seed)
    : mac_(mac), host_name_(std::move(host_name)), random_state_(seed) {}

// splitmix64
uint64_t DhcpClient::random() {
  uint64_t z = random_state_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Within an eighth of the base, so that machines that start together spread.
Duration DhcpClient::jittered(Duration base) {
  auto span = static_cast<uint64_t>(base.count() / 4);
  return base - base / 8 + Duration(static_cast<int64_t>(random() % std::max<uint64_t>(span, 1)));
}

DhcpPacket DhcpClient::message(DhcpType type, Time now) const {
  DhcpPacket packet;
  packet.type = type;
  packet.xid = xid_;
  packet.mac = mac_;
  int64_t elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - began_).count();
  packet.seconds = static_cast<uint16_t>(std::clamp<int64_t>(elapsed, 0, 0xffff));
  // Some drivers and switches lose unicast to a host that has no address yet.
  packet.broadcast = failures_ >= kBroadcastAfter && !lease_;
  auto option = [&](DhcpOption code) -> ByteVector& {
    return packet.options[static_cast<uint8_t>(code)];
  };
  ByteVector& id = option(DhcpOption::ClientId);
  id.push_back(1);
  id.insert(id.end(), mac_.begin(), mac_.end());
  if (!host_name_.empty()) {
    ConstBytes text = as_bytes(host_name_);
    option(DhcpOption::HostName).assign(text.begin(), text.end());
  }
  option(DhcpOption::MaxMessageSize) = {kMaxMessage >> 8, kMaxMessage & 0xff};
  // 121 before 3, as RFC 3442 wants.
  option(DhcpOption::ParameterList) = {1, 121, 3, 6, 12, 15, 26, 28, 42, 51, 54, 58, 59, 249};
  return packet;
}

void DhcpClient::begin(Time now, DhcpActions& actions) {
  state_ = State::Selecting;
  xid_ = static_cast<uint32_t>(random());
  began_ = now;
  tries_ = 0;
  failures_ = 0;
  offer_.reset();
  // A server that refuses each time must not be asked in a tight loop.
  if (refusals_ > 1) {
    Duration wait = kFirstRetry * (1 << std::min(refusals_ - 2, 4U));
    wake_ = now + jittered(std::min(wait, kLongestRetry));
  } else {
    send_discover(now, actions);
  }
}

void DhcpClient::retry_later(Time now) {
  Duration wait = kFirstRetry * (1 << std::min(tries_, 4U));
  ++tries_;
  wake_ = now + jittered(std::min(wait, kLongestRetry));
}

void DhcpClient::send_discover(Time now, DhcpActions& actions) {
  if (tries_ > 0) ++failures_;
  ++discovers_;
  actions.send.push_back({format_dhcp(message(DhcpType::Discover, now)), std::nullopt});
  retry_later(now);
}

void DhcpClient::send_request(Time now, DhcpActions& actions) {
  if (tries_ > 0) ++failures_;
  DhcpPacket packet = message(DhcpType::Request, now);
  packet.options[static_cast<uint8_t>(DhcpOption::RequestedAddress)] =
      be32_bytes(offer_->address.value);
  if (offer_->server) {
    packet.options[static_cast<uint8_t>(DhcpOption::ServerId)] = be32_bytes(offer_->server->value);
  }
  actions.send.push_back({format_dhcp(packet), std::nullopt});
  retry_later(now);
}

// Half of what is left until `limit`, but not in quick succession (RFC 2131 section 4.4.5).
void DhcpClient::renew_later(Time now, Time limit) {
  wake_ = std::min(limit, now + std::max<Duration>((limit - now) / 2, kRenewalRetry));
}

void DhcpClient::send_renewal(Time now, DhcpActions& actions) {
  DhcpPacket packet = message(DhcpType::Request, now);
  packet.client = lease_->address;
  bool unicast = state_ == State::Renewing && lease_->server.has_value();
  actions.send.push_back({format_dhcp(packet), unicast ? lease_->server : std::nullopt});
  renew_later(now, state_ == State::Renewing ? rebind_at_ : expires_at_);
}

void DhcpClient::accept(const DhcpLease& lease, Time now, DhcpActions& actions) {
  state_ = State::Bound;
  lease_ = lease;
  offer_.reset();
  refusals_ = 0;
  tries_ = 0;
  failures_ = 0;
  if (lease.duration) {
    Duration total = std::max<Duration>(*lease.duration, kShortestLease);
    Duration rebind = lease.rebinding.value_or(total / 8 * 7);
    if (rebind <= 0s || rebind >= total) rebind = total / 8 * 7;
    Duration renew = lease.renewal.value_or(total / 2);
    if (renew <= 0s || renew >= rebind) renew = std::min(total / 2, rebind / 2);
    renew_at_ = now + renew;
    rebind_at_ = now + rebind;
    expires_at_ = now + total;
  } else {
    renew_at_ = rebind_at_ = expires_at_ = kNever;
  }
  wake_ = renew_at_;
  actions.bound = lease;
}

void DhcpClient::lose(DhcpActions& actions) {
  lease_.reset();
  actions.lost = true;
  actions.bound.reset();
}

DhcpActions DhcpClient::finish(DhcpActions actions) const {
  if (link_ && state_ != State::Idle && wake_ != kNever) actions.wake = wake_;
  // A lease ends also while the cable is out.
  if (!link_ && lease_ && expires_at_ != kNever) actions.wake = expires_at_;
  return actions;
}

DhcpActions DhcpClient::on(DhcpEvent event, Time now) {
  DhcpActions actions;
  switch (event) {
    case DhcpEvent::LinkDown: link_ = false; break;
    case DhcpEvent::LinkUp: {
      bool was_up = std::exchange(link_, true);
      if (was_up) break;
      if (lease_ && now < expires_at_) {
        // It may be another network by now: ask whoever is there, at once.
        xid_ = static_cast<uint32_t>(random());
        began_ = now;
        state_ = State::Rebinding;
        rebind_at_ = now;
        if (expires_at_ == kNever) {
          actions.send.clear();
          DhcpPacket packet = message(DhcpType::Request, now);
          packet.client = lease_->address;
          actions.send.push_back({format_dhcp(packet), std::nullopt});
          wake_ = kNever;
        } else {
          send_renewal(now, actions);
        }
      } else {
        if (lease_) lose(actions);
        refusals_ = 0;
        begin(now, actions);
      }
      break;
    }
    case DhcpEvent::Timer: {
      if (lease_ && now >= expires_at_) {
        lose(actions);
        actions.note = "the lease has expired";
        if (link_)
          begin(now, actions);
        else
          state_ = State::Idle;
        break;
      }
      if (!link_ || now < wake_) break;
      switch (state_) {
        case State::Idle: break;
        case State::Selecting: send_discover(now, actions); break;
        case State::Requesting:
          if (tries_ >= kRequestTries) {
            unsigned failures = failures_ + 1;
            begin(now, actions);
            failures_ = failures;
          } else {
            send_request(now, actions);
          }
          break;
        case State::Bound:
        case State::Renewing:
        case State::Rebinding:
          if (state_ == State::Bound) {
            xid_ = static_cast<uint32_t>(random());
            began_ = now;
          }
          state_ = now >= rebind_at_ ? State::Rebinding : State::Renewing;
          send_renewal(now, actions);
          break;
      }
      break;
    }
  }
  return finish(std::move(actions));
}

DhcpActions DhcpClient::on_packet(const DhcpPacket& packet, Time now) {
  DhcpActions actions;
  bool ours =
      packet.operation == DhcpOperation::Reply && packet.xid == xid_ && packet.mac == mac_ && link_;
  if (!ours) return finish(std::move(actions));

  bool waiting_for_ack =
      state_ == State::Requesting || state_ == State::Renewing || state_ == State::Rebinding;
  if (packet.type == DhcpType::Nak && waiting_for_ack) {
    // Another server's NAK does not concern the offer that was taken.
    auto id = packet.options.find(static_cast<uint8_t>(DhcpOption::ServerId));
    if (state_ == State::Requesting && offer_->server && id != packet.options.end() &&
        id->second != be32_bytes(offer_->server->value)) {
      return finish(std::move(actions));
    }
    auto why = packet.options.find(static_cast<uint8_t>(DhcpOption::Message));
    actions.note = "the DHCP server refused the address";
    if (why != packet.options.end()) {
      actions.note += concat(" (", printable(as_text(why->second), 80), ")");
    }
    if (lease_) lose(actions);
    ++refusals_;
    begin(now, actions);
    return finish(std::move(actions));
  }

  bool offer = packet.type == DhcpType::Offer && state_ == State::Selecting;
  bool ack = packet.type == DhcpType::Ack && waiting_for_ack;
  if (!offer && !ack) return finish(std::move(actions));
  Result<DhcpLease> granted = lease_of(packet);
  if (!granted.ok()) {
    actions.note = granted.error().message();
    return finish(std::move(actions));
  }
  DhcpLease lease = std::move(granted).value();
  if (offer) {
    ++offers_;
    offer_ = lease;
    state_ = State::Requesting;
    tries_ = 0;
    send_request(now, actions);
  } else {
    // A server that leaves its id out of the ACK is the one that was asked.
    if (!lease.server && offer_) lease.server = offer_->server;
    if (!lease.server && lease_) lease.server = lease_->server;
    accept(lease, now, actions);
  }
  return finish(std::move(actions));
}

std::string DhcpClient::progress() const {
  auto times = [](unsigned count, std::string_view noun) {
    return concat(count, ' ', noun, count == 1 ? "" : "s");
  };
  if (lease_) return concat("has ", format_ipv4(lease_->address));
  if (discovers_ == 0) return "DHCP has not started";
  if (offers_ == 0) return concat("no DHCP offer after ", times(discovers_, "discover"));
  if (refusals_ > 0) return concat("the DHCP server refused ", times(refusals_, "request"));
  return concat("a DHCP offer came, but no acknowledgement of ", times(offers_, "request"));
}

}  // namespace curlingiron
