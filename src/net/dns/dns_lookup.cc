#include "net/dns/dns_lookup.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr Duration kFirstRepetition = 1s;
constexpr Duration kLongestRepetition = 8s;
// How long a server may be silent while others say that there is no such name.
constexpr Duration kSilencePatience = 2s;
// As RFC 8305 section 3 has it.
constexpr Duration kOtherFamilyPatience = 50ms;
constexpr Duration kStreamPatience = 4s;

std::vector<std::string> names_to_try(const std::string& host,
                                      const std::vector<std::string>& search) {
  if (host.ends_with('.')) return {host};
  std::vector<std::string> names;
  for (const std::string& domain : search) names.push_back(concat(host, '.', domain));
  bool has_dot = host.find('.') != std::string::npos;
  names.insert(has_dot ? names.begin() : names.end(), host);
  return names;
}

// The interval after the `sent`th question, between 3/4 and 5/4 of what it is on average.
Duration repetition(unsigned sent, uint64_t random) {
  Duration base = std::min<Duration>(kFirstRepetition * (int64_t{1} << std::min(sent - 1, 8U)),
                                     kLongestRepetition);
  auto half = static_cast<uint64_t>(base.count() / 2);
  return base * 3 / 4 + Duration(static_cast<int64_t>(random % half));
}

std::string_view family_text(const std::vector<Family>& families) {
  if (families.size() > 1) return "no address";
  return families.front() == Family::V4 ? "no IPv4 address" : "no IPv6 address";
}

}  // namespace

DnsLookup::DnsLookup(DnsLookupPlan plan, std::function<uint64_t()> random, Time now)
    : plan_(std::move(plan)),
      random_(std::move(random)),
      names_(names_to_try(plan_.host, plan_.search)),
      silent_(plan_.servers.size()) {
  if (plan_.servers.empty()) {
    result_ = Error("no DNS server is known; check what DHCP gives, or name one (nameserver=)");
    return;
  }
  begin_name(now);
}

void DnsLookup::begin_name(Time now) {
  ++generation_;
  began_ = now;
  slots_.assign(plan_.servers.size() * families(), Slot());
  found_.assign(families(), Found());
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.question = {static_cast<uint16_t>(random_()), names_[name_],
                     dns_type_of(plan_.families[i % families()])};
    slot.next_send = now;
    Result<ByteVector> query = format_dns_query(slot.question);
    if (query.ok()) {
      slot.query = std::move(query).value();
      continue;
    }
    // With a search domain after it, it may be too long.
    settle(slot, Verdict::NoSuchName);
    slot.next_send = Time::max();
  }
}

void DnsLookup::settle(Slot& slot, Verdict verdict, std::string why) {
  slot.verdict = verdict;
  slot.why = std::move(why);
  slot.stream_ends.reset();
  // One that failed is asked again, while others are waited for.
  if (verdict != Verdict::Failed) slot.next_send = Time::max();
}

std::vector<DnsSend> DnsLookup::due(Time now) {
  std::vector<DnsSend> sends;
  for (size_t i = 0; i < slots_.size() && !result_; ++i) {
    if (slots_[i].stream_ends && *slots_[i].stream_ends <= now) {
      stream_failed(i, "does not answer over TCP", now);
    }
  }
  decide(now);
  for (size_t i = 0; i < slots_.size() && !result_; ++i) {
    Slot& slot = slots_[i];
    if (slot.next_send > now) continue;
    sends.push_back({i, server_of(i), slot.transport, slot.query});
    if (slot.transport == DnsTransport::Stream) {
      slot.stream_ends = now + kStreamPatience;
      slot.next_send = Time::max();
    } else {
      ++slot.sent;
      slot.next_send = now + repetition(slot.sent, random_());
    }
  }
  return sends;
}

Time DnsLookup::next(Time now) const {
  Time next = plan_.deadline;
  for (const Slot& slot : slots_) {
    next = std::min(next, slot.next_send);
    if (slot.stream_ends) next = std::min(next, *slot.stream_ends);
  }
  for (const Found& each : found_) {
    if (each.since) next = std::min(next, *each.since + kOtherFamilyPatience);
  }
  bool denied = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.verdict == Verdict::NoAddress || slot.verdict == Verdict::NoSuchName;
  });
  // Later than that, what is still waited for has a time of its own.
  if (denied && began_ + kSilencePatience > now) next = std::min(next, began_ + kSilencePatience);
  return next;
}

bool DnsLookup::listens(size_t index, DnsTransport transport) const {
  if (result_ || index >= slots_.size()) return false;
  const Slot& slot = slots_[index];
  bool open = slot.verdict == Verdict::Waiting || slot.verdict == Verdict::Failed;
  return open && slot.transport == transport;
}

void DnsLookup::answered(size_t index, DnsTransport transport, ConstBytes message, Time now) {
  if (!listens(index, transport)) return;
  Slot& slot = slots_[index];
  Result<DnsAnswer> parsed = parse_dns_answer(message, slot.question);
  if (!parsed.ok()) {
    if (transport == DnsTransport::Stream) {
      stream_failed(index, "sends a malformed answer over TCP", now);
      decide(now);
    }
    return;
  }
  DnsAnswer& answer = parsed.value();
  silent_[server_of(index)] = false;
  if (answer.truncated && transport == DnsTransport::Datagram) {
    slot.partial = std::move(answer.addresses);
    slot.transport = DnsTransport::Stream;
    slot.next_send = now;
    return;
  }
  switch (answer.code) {
    case DnsCode::NoError:
      if (answer.addresses.empty()) {
        settle(slot, Verdict::NoAddress);
      } else {
        found(index, std::move(answer.addresses), now);
      }
      break;
    case DnsCode::NoSuchName: settle(slot, Verdict::NoSuchName); break;
    case DnsCode::FormatError:
    case DnsCode::ServerFailure:
    case DnsCode::NotImplemented:
    case DnsCode::Refused:
    case DnsCode::Other: settle(slot, Verdict::Failed, std::string(describe(answer.code))); break;
  }
  decide(now);
}

void DnsLookup::failed(size_t index, DnsTransport transport, std::string why, Time now) {
  if (!listens(index, transport)) return;
  if (transport == DnsTransport::Stream) {
    stream_failed(index, std::move(why), now);
  } else {
    settle(slots_[index], Verdict::Failed, std::move(why));
  }
  decide(now);
}

void DnsLookup::stream_failed(size_t index, std::string why, Time now) {
  Slot& slot = slots_[index];
  if (!slot.partial.empty()) {
    found(index, std::move(slot.partial), now);
    return;
  }
  settle(slot, Verdict::Failed, std::move(why));
  slot.transport = DnsTransport::Datagram;
  slot.next_send = now + repetition(slot.sent, random_());
}

void DnsLookup::found(size_t index, Addresses addresses, Time now) {
  settle(slots_[index], Verdict::Found);
  Found& of_family = found_[index % families()];
  if (!of_family.addresses.empty()) return;
  of_family.addresses = std::move(addresses);
  of_family.since = now;
}

// A server of which more is expected than of the silent ones.
bool DnsLookup::waits_for(size_t family, Time now) const {
  bool patient = now < began_ + kSilencePatience;
  for (size_t i = family; i < slots_.size(); i += families()) {
    bool expected = patient && !silent_[server_of(i)];
    if (slots_[i].verdict == Verdict::Waiting && (expected || slots_[i].stream_ends)) return true;
  }
  return false;
}

void DnsLookup::decide(Time now) {
  if (result_) return;
  std::optional<Time> first;
  bool complete = true;
  for (size_t i = 0; i < found_.size(); ++i) {
    if (found_[i].since) {
      first = std::min(first.value_or(Time::max()), *found_[i].since);
    } else {
      complete = complete && !waits_for(i, now);
    }
  }
  if (first && (complete || now >= *first + kOtherFamilyPatience || now >= plan_.deadline)) {
    conclude();
    return;
  }
  if (first) return;
  bool all_settled = true;
  bool denied = false;
  for (const Slot& slot : slots_) {
    all_settled = all_settled && slot.verdict != Verdict::Waiting;
    denied = denied || slot.verdict == Verdict::NoAddress || slot.verdict == Verdict::NoSuchName;
  }
  if (denied && complete) {
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].verdict == Verdict::Waiting) silent_[server_of(i)] = true;
    }
  }
  bool over = all_settled || (denied && complete) || now >= plan_.deadline;
  if (!over) return;
  if (names_[name_] == plan_.host) note_verdicts();
  // Where no server works, another name would fare no better.
  if (denied && name_ + 1 < names_.size() && now < plan_.deadline) {
    ++name_;
    begin_name(now);
    return;
  }
  conclude();
}

void DnsLookup::conclude() {
  Addresses all;
  for (Family preferred : {Family::V6, Family::V4}) {
    for (size_t i = 0; i < families(); ++i) {
      if (plan_.families[i] != preferred) continue;
      all.insert(all.end(), found_[i].addresses.begin(), found_[i].addresses.end());
    }
  }
  if (!all.empty()) {
    result_ = std::move(all);
    return;
  }
  if (verdicts_.empty()) note_verdicts();
  result_ = error();
}

// What the server did, as the best of what it did for each family.
std::string DnsLookup::verdict_of(size_t server) const {
  const Slot* best = nullptr;
  auto worth = [](const Slot& slot) {
    switch (slot.verdict) {
      case Verdict::Found:
      case Verdict::NoSuchName: return 4;
      case Verdict::NoAddress: return 3;
      case Verdict::Failed: return 2;
      case Verdict::Waiting: return 1;
    }
    __builtin_unreachable();
  };
  for (size_t i = 0; i < families(); ++i) {
    const Slot& slot = slots_[server * families() + i];
    if (best == nullptr || worth(slot) > worth(*best)) best = &slot;
  }
  switch (best->verdict) {
    case Verdict::NoSuchName: return std::string(describe(DnsCode::NoSuchName));
    case Verdict::NoAddress: return concat("knows ", family_text(plan_.families), " of it");
    case Verdict::Failed: return best->why;
    case Verdict::Waiting: return "does not answer";
    case Verdict::Found: return "answers";
  }
  __builtin_unreachable();
}

void DnsLookup::note_verdicts() {
  verdicts_.clear();
  for (size_t i = 0; i < plan_.servers.size(); ++i) verdicts_.push_back(verdict_of(i));
  denied_ = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.verdict == Verdict::NoAddress || slot.verdict == Verdict::NoSuchName;
  });
}

Error DnsLookup::error() const {
  bool silent = true;
  std::vector<std::string> each;
  for (size_t i = 0; i < verdicts_.size(); ++i) {
    silent = silent && verdicts_[i] == "does not answer";
    each.push_back(concat(plan_.servers[i], ' ', verdicts_[i]));
  }
  if (silent) {
    return Error(concat("no answer from the DNS server", plan_.servers.size() > 1 ? "s " : " ",
                        join(plan_.servers, ", "), "; check the network and the name servers"));
  }
  return Error(concat(denied_ ? "host not found (" : "no DNS server resolves the name (",
                      join(each, ", "), ")",
                      denied_ ? "; check the name" : "; check the name servers"));
}

}  // namespace curlingiron
