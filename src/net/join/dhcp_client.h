// The client side of DHCPv4 (RFC 2131 section 4.4) as a machine without I/O: it is given what
// happened and when, and answers what to send and when to ask it again.
//
// What differs from the RFC, and why:
// * No delay of 1 to 10 s before the first DISCOVER, and retransmission begins at half a second: a
//   machine that is being installed waits for nothing else.
// * The probe for conflicts (RFC 5227) goes out with the REQUEST and is awaited for a tenth of a
//   second, most of which the server's answer takes anyway; a claim that comes later still counts
//   for a while (kDhcpConflictWindow).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/random.h"
#include "base/time.h"
#include "formats/dhcp.h"
#include "net/join/send_budget.h"

namespace curlingiron {

// Whatever servers and links do, a client sends no more messages in any such stretch of time, and
// asks for at most twice as many probes. Unanswered it sends five in the first ten seconds.
inline constexpr size_t kDhcpMostMessages = 16;
inline constexpr Duration kDhcpMessageWindow = 10s;
// How long a probe is awaited, and how long after that a claim still ends the lease.
inline constexpr Duration kDhcpProbeTime = 100ms;
inline constexpr Duration kDhcpConflictWindow = 5s;

enum class DhcpEvent {
  LinkUp,    // carrier is there (again)
  LinkDown,  // nothing is sent until it is back; a lease is kept
  Timer,     // the time asked for by `wake` has come (earlier is harmless)
};

struct DhcpMessage {
  ByteVector payload;
  // Absent: to 255.255.255.255 from 0.0.0.0, on the link. Else by routing, from the leased address.
  std::optional<Ipv4> server;
};

struct DhcpActions {
  std::vector<DhcpMessage> send;
  // Ask by ARP, once, whether anybody has this address; on_conflict() takes what is heard. Where
  // that is impossible the address is used unasked.
  std::optional<Ipv4> probe;
  // Configure this, in place of what was there; also after a renewal that changed something or
  // prolonged.
  std::optional<DhcpLease> bound;
  bool lost = false;         // the address must no longer be used; a new search has begun
  std::optional<Time> wake;  // when Timer is wanted
  std::string note;          // worth a log line: a NAK, an offer that is no good, a conflict
};

class DhcpClient {
 public:
  // `seed` makes transaction ids and jitter; `host_name` is sent where it is not empty. `previous`
  // is the address that this machine had before, which servers are asked for (option 50 of
  // DISCOVER: unlike INIT-REBOOT that costs nothing where nobody remembers it).
  DhcpClient(const MacAddress& mac, std::string host_name, uint64_t seed,
             std::optional<Ipv4> previous = std::nullopt);

  DhcpActions on(DhcpEvent event, Time now);
  // A packet for the client port. What is not an answer to this client is ignored.
  DhcpActions on_packet(const DhcpPacket& packet, Time now);
  // Somebody else says to have `address` (formats/arp.h, arp_claim()). Any address may be given at
  // any time: what matters to the client is declined, the rest ignored.
  DhcpActions on_conflict(Ipv4 address, Time now);

  bool has_lease() const { return lease_.has_value(); }
  // For the report at the deadline: "no DHCP offer after 6 discovers".
  std::string progress() const;

 private:
  enum class State {
    Idle,
    Selecting,   // DISCOVER is out
    Requesting,  // REQUEST and probe are out
    Probing,     // ACK is there, the probe's time is not over
    Bound,
    Renewing,
    Rebinding,
    Returning,  // as Rebinding, but in a hurry: the link was away
  };
  struct Probe {
    Ipv4 address;
    Time at;
  };

  void begin(Time now, Duration wait, DhcpActions& actions);
  void restart_after_refusal(Time now, DhcpActions& actions);
  void come_back(Time now, DhcpActions& actions);
  void pass_time(Time now, DhcpActions& actions);
  void send(const DhcpPacket& packet, std::optional<Ipv4> server, DhcpActions& actions);
  void send_discover(Time now, DhcpActions& actions);
  void send_request(Time now, DhcpActions& actions);
  void send_renewal(Time now, DhcpActions& actions);
  void send_decline(const DhcpLease& lease, Time now, DhcpActions& actions);
  void ask_for(const DhcpLease& offer, Time now, DhcpActions& actions);
  void ask_spare(Time now, DhcpActions& actions);
  void probe(Ipv4 address, Time now, DhcpActions& actions);
  void take_offer(const DhcpLease& offer, Time now, DhcpActions& actions);
  void take_ack(DhcpLease lease, Time now, DhcpActions& actions);
  void take_nak(const DhcpPacket& packet, Time now, DhcpActions& actions);
  void accept(const DhcpLease& lease, Time now, DhcpActions& actions);
  void lose(DhcpActions& actions);
  void retry_later(Time now);
  void renew_later(Time now, Time limit);
  // False: enough was sent already; `wake_` is when more may be.
  bool may_send(Time now);
  DhcpActions finish(DhcpActions actions) const;
  DhcpPacket message(DhcpType type, Time now) const;
  DhcpPacket query(DhcpType type, Time now) const;
  Duration jittered(Duration base);

  MacAddress mac_;
  std::string host_name_;
  Random random_;
  SendBudget<kDhcpMostMessages> budget_{kDhcpMessageWindow};
  std::optional<Ipv4> previous_;
  State state_ = State::Idle;
  bool link_ = false;
  uint32_t xid_ = 0;
  Time began_{};  // of this search or renewal, for the `secs` field
  Time wake_{};
  unsigned tries_ = 0;              // of the message of this state
  unsigned failures_ = 0;           // sends without an answer, over all states of this search
  unsigned discovers_ = 0;          // since the start, for people
  unsigned offers_ = 0;             // since the start, for people
  unsigned refusals_ = 0;           // NAKs in a row
  unsigned declines_ = 0;           // addresses in a row that somebody else had
  std::optional<Ipv4> conflict_;    // the last of them
  std::optional<DhcpLease> offer_;  // requested, or acknowledged and being probed
  std::optional<DhcpLease> spare_;  // of another server, should this one not acknowledge
  std::optional<DhcpLease> lease_;
  std::optional<Probe> probe_;
  Time bound_at_{}, renew_at_{}, rebind_at_{}, expires_at_{};
};

}  // namespace curlingiron
