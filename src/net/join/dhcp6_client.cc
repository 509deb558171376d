#include "net/join/dhcp6_client.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr Time kNever = Time::max();
constexpr Duration kLongestPause = 30s;     // of SOLICIT and INFORMATION-REQUEST
constexpr Duration kPatience = 120s;        // the same where the server asks for more
constexpr Duration kShortestLease = 10s;    // shorter ones would only make traffic
constexpr Duration kLongestLease = 87600h;  // ten years: sums of times stay in range
constexpr Duration kShortestRenewal = 5s;
constexpr Duration kLongestRefusalPause = 16s;
constexpr Duration kAfterDuplicate = 10s;
constexpr Duration kRefresh = 86400s;  // IRT_DEFAULT and IRT_MINIMUM of RFC 8415 section 7.6
constexpr Duration kShortestRefresh = 600s;
constexpr unsigned kRequestTries =
    5;  // of one offer, before a new search; the RFC's 10 take minutes
constexpr unsigned kTriesBeforeSpare = 2;  // where another server made an offer as well
constexpr unsigned kConfirmTries = 4;      // 10 seconds (CNF_MAX_RD)
constexpr uint32_t kXidMask = 0xffffff;
constexpr size_t kMostHeld = 8;
constexpr size_t kMostMessage = 80;  // characters of what a server says

// First and longest pause between two messages (RFC 8415 section 15).
struct Pauses {
  Duration first, longest;
};
constexpr Pauses kRequestPauses = {1s, 30s};
constexpr Pauses kRenewPauses = {10s, 600s};
constexpr Pauses kConfirmPauses = {1s, 4s};
// A short lease is over before ten seconds are.
constexpr Duration kShortestRenewPause = 2s;

Time after(Time now, std::optional<Duration> lifetime) {
  return lifetime ? now + std::min<Duration>(*lifetime, kLongestLease) : kNever;
}

std::optional<Duration> left(Time until, Time now) {
  if (until == kNever) return std::nullopt;
  return std::max<Duration>(until - now, 0s);
}

// RFC 8415 section 21.6: one that is preferred longer than it is valid does not count.
bool is_usable(const Dhcp6Address& address) {
  bool ends = address.valid.has_value();
  bool sensible = !ends || (address.preferred && *address.preferred <= *address.valid);
  return sensible && (!ends || *address.valid > 0s) &&
         address.status.code == Dhcp6StatusCode::Success;
}

std::string status_text(const Dhcp6Status& status) {
  std::string_view name;
  switch (status.code) {
    case Dhcp6StatusCode::Success: name = "it gave no address"; break;
    case Dhcp6StatusCode::UnspecifiedFailure: name = "it failed"; break;
    case Dhcp6StatusCode::NoAddressesAvailable: name = "it has no address left"; break;
    case Dhcp6StatusCode::NoBinding: name = "it does not know this machine"; break;
    case Dhcp6StatusCode::NotOnLink: name = "the address does not belong to this network"; break;
    case Dhcp6StatusCode::UseMulticast: name = "it wants multicast"; break;
  }
  std::string text =
      name.empty() ? concat("status ", static_cast<uint16_t>(status.code)) : std::string(name);
  if (!status.message.empty()) {
    text += concat(" (", printable(status.message, kMostMessage), ')');
  }
  return text;
}

}  // namespace

Dhcp6Client::Dhcp6Client(Dhcp6Mode mode, ByteVector duid, uint32_t association_id, uint64_t seed,
                         std::optional<Ipv6> previous)
    : mode_(mode),
      duid_(std::move(duid)),
      association_id_(association_id),
      random_(seed),
      previous_(previous),
      longest_pause_(kLongestPause) {}

// --- messages

Dhcp6Packet Dhcp6Client::message(Time now) const {
  Dhcp6Packet packet;
  packet.xid = xid_;
  packet.client_id = duid_;
  int64_t elapsed = (now - began_) / 10ms;
  packet.elapsed = static_cast<uint16_t>(std::clamp<int64_t>(elapsed, 0, 0xffff));
  // Name servers and domains; SOL_MAX_RT where addresses are asked for (RFC 8415 section 21.7).
  packet.requested = {23, 24, 82};
  Dhcp6Association association;
  association.id = association_id_;
  association.renewal = association.rebinding = Duration(0);
  auto add = [&](const Ipv6& address) {
    association.addresses.push_back({address, Duration(0), Duration(0), {}});
  };
  auto add_held = [&] {
    for (const Held& held : held_) add(held.address);
  };
  switch (state_) {
    case State::Idle:
    case State::Bound:
    case State::Informed:
    case State::Soliciting:
      packet.type = Dhcp6Type::Solicit;
      if (previous_) add(*previous_);
      break;
    case State::Requesting:
      packet.type = Dhcp6Type::Request;
      packet.server_id = offer_->server_id;
      for (const Dhcp6Address& address : offer_->association.addresses) add(address.address);
      break;
    case State::Renewing:
      packet.type = Dhcp6Type::Renew;
      packet.server_id = server_id_;
      add_held();
      break;
    case State::Rebinding:
      packet.type = Dhcp6Type::Rebind;
      add_held();
      break;
    case State::Confirming:
      packet.type = Dhcp6Type::Confirm;
      packet.requested.clear();
      add_held();
      break;
    case State::Informing:
      packet.type = Dhcp6Type::InformationRequest;
      packet.requested = {23, 24, 32, 83};
      break;
  }
  if (mode_ == Dhcp6Mode::Stateful) packet.associations.push_back(std::move(association));
  return packet;
}

// A new exchange of messages.
void Dhcp6Client::enter(State state, Time now) {
  state_ = state;
  xid_ = static_cast<uint32_t>(random_.next()) & kXidMask;
  if (state == State::Soliciting) solicit_xid_ = xid_;
  began_ = now;
  tries_ = 0;
  pause_ = 0s;
}

void Dhcp6Client::start(State state, Time now, Dhcp6Actions& actions) {
  enter(state, now);
  send_again(now, actions);
}

void Dhcp6Client::send_again(Time now, Dhcp6Actions& actions) {
  if (!budget_.take(now)) {
    wake_ = budget_.free_at();
    return;
  }
  if (state_ == State::Soliciting || state_ == State::Informing) ++solicits_;
  actions.send.push_back(format_dhcp6(message(now)));
  retry_later(now);
}

// RFC 8415 section 15.
void Dhcp6Client::retry_later(Time now) {
  Pauses pauses = kRequestPauses;
  Time end = kNever;
  auto scaled = [](Duration whole) {
    return std::clamp<Duration>(whole / 4, kShortestRenewPause, kRenewPauses.first);
  };
  switch (state_) {
    case State::Idle:
    case State::Bound:
    case State::Informed:
    case State::Requesting: break;
    case State::Soliciting:
    case State::Informing: pauses.longest = longest_pause_; break;
    case State::Renewing:
      pauses = {scaled(rebind_at_ - renew_at_), kRenewPauses.longest};
      end = rebind_at_;
      break;
    case State::Rebinding:
      end = expires_at();
      pauses = {scaled(end - rebind_at_), kRenewPauses.longest};
      break;
    case State::Confirming: pauses = kConfirmPauses; break;
  }
  auto tenth_around = [&](Duration base) {
    return random_.between(base - base / 10, base + base / 10);
  };
  if (tries_ > 0) {
    pause_ += tenth_around(pause_);
  } else if (state_ == State::Soliciting) {
    pause_ = random_.between(pauses.first, pauses.first + pauses.first / 10);
  } else {
    pause_ = tenth_around(pauses.first);
  }
  if (pause_ > pauses.longest) pause_ = tenth_around(pauses.longest);
  ++tries_;
  wake_ = std::min(end, now + pause_);
}

// --- states

void Dhcp6Client::begin(Time now, Duration wait, Dhcp6Actions& actions) {
  offer_.reset();
  spare_.reset();
  enter(State::Soliciting, now);
  if (wait > 0s) {
    wake_ = now + random_.between(wait, wait + wait / 10);
  } else {
    send_again(now, actions);
  }
}

// A server that refuses each time must not be asked in a tight loop.
void Dhcp6Client::restart_after_refusal(Time now, Dhcp6Actions& actions) {
  Duration wait = 0s;
  if (refusals_ > 1) {
    wait = std::min<Duration>(1s * (1 << std::min(refusals_ - 2, 4U)), kLongestRefusalPause);
  }
  begin(now, wait, actions);
}

// The link is there again, and with it perhaps another network: ask whoever is there, at once.
void Dhcp6Client::come_back(Time now, Dhcp6Actions& actions) {
  if (mode_ == Dhcp6Mode::Stateless) {
    start(State::Informing, now, actions);
    return;
  }
  bool had_lease = has_lease();
  forget_ended(now);
  offer_.reset();
  spare_.reset();
  if (has_lease()) {
    start(State::Confirming, now, actions);
    return;
  }
  if (had_lease) lose(actions);
  refusals_ = 0;
  begin(now, 0s, actions);
}

void Dhcp6Client::ask_for(const Offer& offer, Time now, Dhcp6Actions& actions) {
  offer_ = offer;
  start(State::Requesting, now, actions);
}

void Dhcp6Client::lose(Dhcp6Actions& actions) {
  held_.clear();
  actions.lost = true;
  actions.bound.reset();
}

void Dhcp6Client::forget_ended(Time now) {
  held_.erase(std::remove_if(held_.begin(), held_.end(),
                             [&](const Held& held) { return held.valid_until <= now; }),
              held_.end());
}

// Of the last address; meaningless without one.
Time Dhcp6Client::expires_at() const {
  Time latest = Time::min();
  for (const Held& held : held_) latest = std::max(latest, held.valid_until);
  return latest;
}

Dhcp6Lease Dhcp6Client::lease(Time now) const {
  Dhcp6Lease lease;
  for (const Held& held : held_) {
    lease.addresses.push_back(
        {held.address, left(held.preferred_until, now), left(held.valid_until, now), {}});
  }
  lease.nameservers = nameservers_;
  lease.search = search_;
  return lease;
}

Dhcp6Actions Dhcp6Client::finish(Dhcp6Actions actions) const {
  if (link_ && state_ != State::Idle && wake_ != kNever) actions.wake = wake_;
  // A lease ends also while the cable is out, or while another one is looked for.
  if (has_lease() && expires_at() != kNever) {
    actions.wake = std::min(actions.wake.value_or(expires_at()), expires_at());
  }
  return actions;
}

Dhcp6Actions Dhcp6Client::on(Dhcp6Event event, Time now) {
  Dhcp6Actions actions;
  switch (event) {
    case Dhcp6Event::LinkDown: link_ = false; break;
    case Dhcp6Event::LinkUp:
      if (!std::exchange(link_, true)) come_back(now, actions);
      break;
    case Dhcp6Event::Timer: pass_time(now, actions); break;
  }
  return finish(std::move(actions));
}

void Dhcp6Client::pass_time(Time now, Dhcp6Actions& actions) {
  bool had_lease = has_lease();
  forget_ended(now);
  if (had_lease && !has_lease()) {
    lose(actions);
    actions.note = "the DHCPv6 lease has expired";
    if (!link_) {
      state_ = State::Idle;
      return;
    }
    // A search that is on its way goes on.
    if (state_ != State::Soliciting && state_ != State::Requesting) {
      begin(now, 0s, actions);
      return;
    }
  }
  if (!link_ || now < wake_) return;
  switch (state_) {
    case State::Idle: break;
    case State::Soliciting:
    case State::Rebinding:
    case State::Informing: send_again(now, actions); break;
    case State::Requesting:
      if (spare_ && tries_ >= kTriesBeforeSpare) {
        ask_for(*std::exchange(spare_, std::nullopt), now, actions);
      } else if (tries_ >= kRequestTries) {
        begin(now, 0s, actions);
      } else {
        send_again(now, actions);
      }
      break;
    case State::Bound:
      start(now >= rebind_at_ ? State::Rebinding : State::Renewing, now, actions);
      break;
    case State::Renewing:
      if (now >= rebind_at_) {
        start(State::Rebinding, now, actions);
      } else {
        send_again(now, actions);
      }
      break;
    case State::Confirming:
      if (tries_ >= kConfirmTries) {
        begin(now, 0s, actions);
      } else {
        send_again(now, actions);
      }
      break;
    case State::Informed: start(State::Informing, now, actions); break;
  }
}

// --- what comes in

const Dhcp6Association* Dhcp6Client::own_association(const Dhcp6Packet& packet) const {
  for (const Dhcp6Association& association : packet.associations) {
    if (association.id == association_id_) return &association;
  }
  return nullptr;
}

Dhcp6Actions Dhcp6Client::on_packet(const Dhcp6Packet& packet, Time now) {
  Dhcp6Actions actions;
  bool ours = link_ && packet.client_id == duid_ && !packet.server_id.empty();
  if (!ours) return finish(std::move(actions));
  if (packet.type == Dhcp6Type::Advertise) {
    bool awaited = (state_ == State::Soliciting && tries_ > 0) || state_ == State::Requesting;
    if (awaited && packet.xid == solicit_xid_) take_advertise(packet, now, actions);
  } else if (packet.type == Dhcp6Type::Reply && packet.xid == xid_ && tries_ > 0) {
    take_reply(packet, now, actions);
  }
  return finish(std::move(actions));
}

void Dhcp6Client::take_advertise(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions) {
  if (packet.solicit_max_time) {
    longest_pause_ = std::min<Duration>(*packet.solicit_max_time, kPatience);
  }
  const Dhcp6Association* association = own_association(packet);
  Offer offer;
  offer.server_id = packet.server_id;
  if (association != nullptr && packet.status.code == Dhcp6StatusCode::Success) {
    offer.association = *association;
    std::vector<Dhcp6Address>& addresses = offer.association.addresses;
    addresses.erase(std::remove_if(addresses.begin(), addresses.end(),
                                   [](const Dhcp6Address& address) { return !is_usable(address); }),
                    addresses.end());
  }
  const std::vector<Dhcp6Address>& addresses = offer.association.addresses;
  if (state_ == State::Requesting) {
    bool another = packet.server_id != offer_->server_id;
    if (!spare_ && another && !addresses.empty()) spare_ = std::move(offer);
    return;
  }
  if (addresses.empty()) {
    const Dhcp6Status& status =
        association != nullptr && packet.status.code == Dhcp6StatusCode::Success
            ? association->status
            : packet.status;
    std::string why = status_text(status);
    if (why != refusal_) actions.note = concat("the DHCPv6 server has no address for us: ", why);
    refusal_ = std::move(why);
    inform(packet, now, actions);
    return;
  }
  // Another server may have something better than what was a duplicate just now.
  if (duplicates_ > 0 && addresses[0].address == duplicate_ && tries_ <= 1) return;
  ++adverts_;
  ask_for(offer, now, actions);
}

// A server without addresses may know name servers nonetheless.
void Dhcp6Client::inform(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions) {
  bool news = packet.nameservers != nameservers_ || packet.search != search_;
  bool something = !packet.nameservers.empty() || !packet.search.empty();
  if (has_lease() || !news || !something) return;
  keep_settings(packet);
  actions.bound = lease(now);
}

void Dhcp6Client::take_reply(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions) {
  switch (state_) {
    case State::Idle:
    case State::Soliciting:  // with Rapid Commit, which was not asked for
    case State::Bound:
    case State::Informed: break;
    case State::Requesting:
      if (packet.server_id == offer_->server_id) take_addresses(packet, now, actions);
      break;
    case State::Renewing:
      if (packet.server_id == server_id_) take_addresses(packet, now, actions);
      break;
    case State::Rebinding: take_addresses(packet, now, actions); break;
    case State::Confirming:
      if (packet.status.code == Dhcp6StatusCode::Success) {
        state_ = State::Bound;
        wake_ = renew_at_;
        actions.bound = lease(now);  // the kernel may have dropped what it had
      } else if (packet.status.code == Dhcp6StatusCode::NotOnLink) {
        actions.note = "the DHCPv6 lease belongs to another network";
        lose(actions);
        begin(now, 0s, actions);
      }
      break;
    case State::Informing: {
      if (packet.information_max_time) {
        longest_pause_ = std::min<Duration>(*packet.information_max_time, kPatience);
      }
      if (packet.status.code != Dhcp6StatusCode::Success) {
        refusal_ = status_text(packet.status);
        break;
      }
      keep_settings(packet);
      state_ = State::Informed;
      Duration refresh = packet.information_refresh.value_or(kRefresh);
      wake_ = now + std::clamp<Duration>(refresh, kShortestRefresh, kRefresh);
      actions.bound = lease(now);
      break;
    }
  }
}

void Dhcp6Client::take_addresses(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions) {
  const Dhcp6Association* association = own_association(packet);
  bool whole = packet.status.code != Dhcp6StatusCode::Success || association == nullptr;
  const Dhcp6Status& status = whole ? packet.status : association->status;
  bool requesting = state_ == State::Requesting;
  switch (status.code) {
    case Dhcp6StatusCode::Success: break;
    case Dhcp6StatusCode::NoAddressesAvailable:
      // What is held stays until it ends.
      if (requesting) refused(status_text(status), now, actions);
      return;
    case Dhcp6StatusCode::NoBinding:
      if (requesting) {
        refused(status_text(status), now, actions);
      } else {
        // It may give the same addresses anew (RFC 8415 section 18.2.10.1).
        Offer again{packet.server_id, {}};
        for (const Held& held : held_)
          again.association.addresses.push_back({held.address, {}, {}, {}});
        ask_for(again, now, actions);
      }
      return;
    case Dhcp6StatusCode::NotOnLink:
      if (!requesting) lose(actions);
      refused(status_text(status), now, actions);
      return;
    case Dhcp6StatusCode::UnspecifiedFailure:
    case Dhcp6StatusCode::UseMulticast:
    default:
      // Asked again after a pause; multicast is all that this client does.
      refusal_ = status_text(status);
      return;
  }
  if (association == nullptr) {
    if (requesting) refused(status_text(status), now, actions);
    return;
  }
  std::vector<Held> before = held_;
  if (requesting) held_.clear();
  if (!merge(*association, now)) {
    if (requesting) {
      held_ = std::move(before);
      refused(status_text(status), now, actions);
    } else if (!has_lease()) {
      lose(actions);
      refused("it took the address back", now, actions);
    }
    return;
  }
  if (!requesting) duplicates_ = 0;
  state_ = State::Bound;
  server_id_ = packet.server_id;
  refusals_ = 0;
  refusal_.clear();
  offer_.reset();
  spare_.reset();
  previous_ = held_[0].address;
  keep_settings(packet);
  set_timers(*association, now);
  actions.bound = lease(now);
  actions.lost = false;
}

// The addresses of the association with their new lifetimes; those it does not name stay as they
// were. False: it names none that can be used.
bool Dhcp6Client::merge(const Dhcp6Association& association, Time now) {
  bool any = false;
  for (const Dhcp6Address& address : association.addresses) {
    auto held = std::find_if(held_.begin(), held_.end(),
                             [&](const Held& one) { return one.address == address.address; });
    bool withdrawn = address.valid && *address.valid <= 0s;
    if (withdrawn && held != held_.end()) held_.erase(held);
    if (!is_usable(address)) continue;
    any = true;
    std::optional<Duration> valid = address.valid;
    if (valid) valid = std::max<Duration>(*valid, kShortestLease);
    Held renewed{address.address, after(now, address.preferred), after(now, valid)};
    if (held != held_.end()) {
      *held = renewed;
    } else if (held_.size() < kMostHeld) {
      held_.push_back(renewed);
    }
  }
  return any;
}

void Dhcp6Client::keep_settings(const Dhcp6Packet& packet) {
  if (!packet.nameservers.empty()) nameservers_ = packet.nameservers;
  if (!packet.search.empty()) search_ = packet.search;
}

// T1 and T2 as the server says; where it leaves them to the client or they make no sense, at 0.5
// and 0.8 of the shortest preferred lifetime (RFC 8415 section 21.4).
void Dhcp6Client::set_timers(const Dhcp6Association& association, Time now) {
  Time shortest = kNever;
  for (const Held& held : held_) {
    bool preferred = held.preferred_until > now;
    shortest = std::min(shortest, preferred ? held.preferred_until : held.valid_until);
  }
  auto part = [&](int tenths) {
    return shortest == kNever ? kNever : now + (shortest - now) / 10 * tenths;
  };
  auto chosen = [&](std::optional<Duration> given, int tenths) {
    return given == Duration(0) ? part(tenths) : after(now, given);
  };
  renew_at_ = chosen(association.renewal, 5);
  rebind_at_ = chosen(association.rebinding, 8);
  Time end = expires_at();
  if (end != kNever && rebind_at_ >= end) rebind_at_ = part(8);
  if (renew_at_ > rebind_at_) renew_at_ = std::min(part(5), rebind_at_);
  renew_at_ = std::max(renew_at_, now + kShortestRenewal);
  rebind_at_ = std::max(rebind_at_, renew_at_);
  wake_ = renew_at_;
}

void Dhcp6Client::refused(std::string why, Time now, Dhcp6Actions& actions) {
  actions.note = concat("the DHCPv6 server refused the address: ", why);
  refusal_ = std::move(why);
  previous_.reset();
  ++refusals_;
  if (spare_) {
    ask_for(*std::exchange(spare_, std::nullopt), now, actions);
  } else {
    restart_after_refusal(now, actions);
  }
}

Dhcp6Actions Dhcp6Client::on_duplicate(const Ipv6& address, Time now) {
  Dhcp6Actions actions;
  auto held = std::find_if(held_.begin(), held_.end(),
                           [&](const Held& one) { return one.address == address; });
  if (held == held_.end()) return finish(std::move(actions));
  held_.erase(held);
  if (link_ && budget_.take(now)) {
    Dhcp6Packet packet;
    packet.type = Dhcp6Type::Decline;
    packet.xid = static_cast<uint32_t>(random_.next()) & kXidMask;
    packet.client_id = duid_;
    packet.server_id = server_id_;
    packet.elapsed = uint16_t{0};
    Dhcp6Association association;
    association.id = association_id_;
    association.renewal = association.rebinding = Duration(0);
    association.addresses.push_back({address, Duration(0), Duration(0), {}});
    packet.associations.push_back(std::move(association));
    actions.send.push_back(format_dhcp6(packet));
  }
  if (previous_ == address) previous_.reset();
  duplicate_ = address;
  ++duplicates_;
  actions.note =
      concat("somebody else has ", format_ipv6(address), ", which the DHCPv6 server gave");
  if (has_lease()) {
    actions.bound = lease(now);
    return finish(std::move(actions));
  }
  lose(actions);
  bool searching = state_ == State::Soliciting || state_ == State::Requesting;
  if (!link_) {
    state_ = State::Idle;
  } else if (!searching) {
    begin(now, duplicates_ > 1 ? kAfterDuplicate : Duration(0), actions);
  }
  return finish(std::move(actions));
}

std::string Dhcp6Client::progress() const {
  auto times = [](unsigned count, std::string_view noun) {
    return concat(count, ' ', noun, count == 1 ? "" : "s");
  };
  if (has_lease()) return concat("has ", format_ipv6(held_[0].address));
  if (state_ == State::Informed) return "has what DHCPv6 knows besides addresses";
  if (solicits_ == 0) return "DHCPv6 has not started";
  if (duplicates_ > 0) {
    return concat("somebody else has ", format_ipv6(*duplicate_), ", which the DHCPv6 server gave");
  }
  if (!refusal_.empty()) return concat("the DHCPv6 server gave no address: ", refusal_);
  if (mode_ == Dhcp6Mode::Stateless) {
    return concat("no DHCPv6 server answered ", times(solicits_, "information request"));
  }
  if (adverts_ == 0) return concat("no DHCPv6 server answered ", times(solicits_, "solicit"));
  return concat("a DHCPv6 server offered an address, but did not give it on ",
                times(adverts_, "request"));
}

}  // namespace curlingiron
