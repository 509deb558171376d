// The client side of DHCPv4 (RFC 2131 section 4.4) as a machine without I/O: it is told what
// happened and when, and answers what to send and when to ask it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "formats/dhcp.h"

namespace curlingiron {

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
  // Configure this; also after a renewal that changed something or prolonged.
  std::optional<DhcpLease> bound;
  bool lost = false;         // the address must no longer be used; a new search has begun
  std::optional<Time> wake;  // when Timer is wanted
  std::string note;          // worth a log line: a NAK, an offer that is no good
};

class DhcpClient {
 public:
  // `seed` makes transaction ids and jitter; `host_name` is sent where it is not empty.
  DhcpClient(const MacAddress& mac, std::string host_name, uint64_t seed);

  DhcpActions on(DhcpEvent event, Time now);
  // A packet for the client port. What is not an answer to this client is ignored.
  DhcpActions on_packet(const DhcpPacket& packet, Time now);

  bool has_lease() const { return lease_.has_value(); }
  // For the report at the deadline: "no DHCP offer after 6 discovers".
  std::string progress() const;

 private:
  enum class State { Idle, Selecting, Requesting, Bound, Renewing, Rebinding };

  void begin(Time now, DhcpActions& actions);
  void send_discover(Time now, DhcpActions& actions);
  void send_request(Time now, DhcpActions& actions);
  void send_renewal(Time now, DhcpActions& actions);
  void accept(const DhcpLease& lease, Time now, DhcpActions& actions);
  void lose(DhcpActions& actions);
  void retry_later(Time now);
  void renew_later(Time now, Time limit);
  DhcpActions finish(DhcpActions actions) const;
  DhcpPacket message(DhcpType type, Time now) const;
  uint64_t random();
  Duration jittered(Duration base);

  MacAddress mac_;
  std::string host_name_;
  uint64_t random_state_;
  State state_ = State::Idle;
  bool link_ = false;
  uint32_t xid_ = 0;
  Time began_{};  // of this search or renewal, for the `secs` field
  Time wake_{};
  unsigned tries_ = 0;      // of the message of this state
  unsigned failures_ = 0;   // sends without an answer, over all states of this search
  unsigned discovers_ = 0;  // since the start, for people
  unsigned offers_ = 0;     // since the start, for people
  unsigned refusals_ = 0;   // NAKs in a row
  std::optional<DhcpLease> offer_;
  std::optional<DhcpLease> lease_;
  Time renew_at_{}, rebind_at_{}, expires_at_{};
};

}  // namespace curlingiron
