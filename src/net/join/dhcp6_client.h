// The client side of DHCPv6 (RFC 8415 section 18.2) as a machine without I/O: it is given what
// happened and when, and answers what to send and when to ask it again.
//
// What differs from the RFC, and why: this machine waits for its address to be installed, and is
// there for minutes only.
// * The first message goes out at once, not within a random second (sections 18.2.1 and 18.2.6).
// * The first ADVERTISE that has an address is taken at once, whatever its preference; one of
// another
//   server is kept for when the first one does not answer (section 18.2.1 waits a second for more).
// * Pauses grow to half a minute, or two minutes where a server asks for more by SOL_MAX_RT, not to
// an
//   hour or a day (section 7.6).
// * When the link was away, and nobody confirms the addresses, others are looked for while they are
//   kept (section 18.2.3 goes on with them until they end).
// * A DECLINE is sent once: where it is lost, the address shows itself as a duplicate again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/random.h"
#include "base/time.h"
#include "formats/dhcp6.h"
#include "net/join/send_budget.h"

namespace curlingiron {

// Whatever servers and links do, a client sends no more messages in any such stretch of time.
// Unanswered it sends four in the first ten seconds.
inline constexpr size_t kDhcp6MostMessages = 16;
inline constexpr Duration kDhcp6MessageWindow = 10s;

enum class Dhcp6Mode {
  Stateful,   // addresses, and what else the server says
  Stateless,  // name servers and domains alone; make another client when addresses are wanted
};

enum class Dhcp6Event {
  LinkUp,    // carrier is there (again), and the link-local address may be used
  LinkDown,  // nothing is sent until it is back; a lease is kept
  Timer,     // the time asked for by `wake` has come (earlier is harmless)
};

struct Dhcp6Lease {
  // With what is left of their lifetimes at the time of the call. None in Stateless mode, and where
  // a server had none to give but knew name servers.
  std::vector<Dhcp6Address> addresses;
  std::vector<Ipv6> nameservers;
  std::vector<std::string> search;

  bool operator==(const Dhcp6Lease&) const = default;
};

struct Dhcp6Actions {
  // From port 546 of the link-local address to port 547 of kAllDhcp6Servers.
  std::vector<ByteVector> send;
  // Configure this, in place of what was there; also after a renewal. The addresses are /128 (what
  // is on the link is said by router advertisements), and go through duplicate address detection.
  std::optional<Dhcp6Lease> bound;
  bool lost = false;         // the addresses must no longer be used; a new search has begun
  std::optional<Time> wake;  // when Timer is wanted
  std::string note;          // worth a log line: a refusal, a duplicate
};

class Dhcp6Client {
 public:
  // `duid` names the machine to servers, `association_id` its interface (duid_of() and
  // association_id_of(), or what the system before used, so that it gets the same address again).
  // `seed` makes transaction ids and jitter. `previous` is an address to ask for.
  Dhcp6Client(Dhcp6Mode mode, ByteVector duid, uint32_t association_id, uint64_t seed,
              std::optional<Ipv6> previous = std::nullopt);

  Dhcp6Actions on(Dhcp6Event event, Time now);
  // A message for the client port. What is not an answer to this client is ignored.
  Dhcp6Actions on_packet(const Dhcp6Packet& packet, Time now);
  // Duplicate address detection has failed for `address`; others than the client's are ignored.
  Dhcp6Actions on_duplicate(const Ipv6& address, Time now);

  Dhcp6Mode mode() const { return mode_; }
  bool has_lease() const { return !held_.empty(); }
  // For the report at the deadline: "no DHCPv6 server answered 6 solicits".
  std::string progress() const;

 private:
  enum class State {
    Idle,
    Soliciting,
    Requesting,
    Bound,
    Renewing,
    Rebinding,
    Confirming,  // the link was away
    Informing,   // Stateless
    Informed,
  };
  struct Held {
    Ipv6 address;
    Time preferred_until, valid_until;
  };
  struct Offer {
    ByteVector server_id;
    Dhcp6Association association;
  };

  void begin(Time now, Duration wait, Dhcp6Actions& actions);
  void restart_after_refusal(Time now, Dhcp6Actions& actions);
  void come_back(Time now, Dhcp6Actions& actions);
  void pass_time(Time now, Dhcp6Actions& actions);
  void enter(State state, Time now);
  void start(State state, Time now, Dhcp6Actions& actions);
  void send_again(Time now, Dhcp6Actions& actions);
  void retry_later(Time now);
  void ask_for(const Offer& offer, Time now, Dhcp6Actions& actions);
  void take_advertise(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions);
  void take_reply(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions);
  void take_addresses(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions);
  void refused(std::string why, Time now, Dhcp6Actions& actions);
  void keep_settings(const Dhcp6Packet& packet);
  bool merge(const Dhcp6Association& association, Time now);
  void set_timers(const Dhcp6Association& association, Time now);
  void inform(const Dhcp6Packet& packet, Time now, Dhcp6Actions& actions);
  void lose(Dhcp6Actions& actions);
  void forget_ended(Time now);
  Time expires_at() const;
  const Dhcp6Association* own_association(const Dhcp6Packet& packet) const;
  Dhcp6Lease lease(Time now) const;
  Dhcp6Packet message(Time now) const;
  Dhcp6Actions finish(Dhcp6Actions actions) const;

  Dhcp6Mode mode_;
  ByteVector duid_;
  uint32_t association_id_;
  Random random_;
  SendBudget<kDhcp6MostMessages> budget_{kDhcp6MessageWindow};
  std::optional<Ipv6> previous_;
  State state_ = State::Idle;
  bool link_ = false;
  uint32_t xid_ = 0;
  uint32_t solicit_xid_ = 0;  // an ADVERTISE that comes after the REQUEST is a spare
  Time began_{};              // of this exchange
  Time wake_{};
  Duration pause_{};        // the last one between two messages of this exchange
  Duration longest_pause_;  // of SOLICIT and INFORMATION-REQUEST
  unsigned tries_ = 0;      // messages of this exchange
  unsigned solicits_ = 0;   // since the start, for people
  unsigned adverts_ = 0;
  unsigned refusals_ = 0;          // in a row
  unsigned duplicates_ = 0;        // in a row
  std::optional<Ipv6> duplicate_;  // the last of them
  std::string refusal_;            // the last one, for people
  std::optional<Offer> offer_, spare_;
  ByteVector server_id_;  // of the lease
  std::vector<Held> held_;
  std::vector<Ipv6> nameservers_;
  std::vector<std::string> search_;
  Time renew_at_{}, rebind_at_{};
};

}  // namespace curlingiron
