// The addresses of one host, asked of all name servers at once: RFC 1035's client as a machine
// without I/O.
//
// The first server that knows an address wins. That there is no such name is believed when every
// server that answers says so; one that is silent is waited for a short time only. Questions are
// repeated after 1, 2, 4, 8, 8… seconds, jittered, until the deadline. A truncated answer is asked
// for over TCP, and what was in it serves where TCP does not work.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "formats/dns.h"

namespace curlingiron {

enum class DnsTransport { Datagram, Stream };

struct DnsLookupPlan {
  std::string host;  // a name, no address
  std::vector<Family> families;
  std::vector<std::string> servers;  // as messages name them
  // After a name without a dot these are tried before it, else after it; a dot at its end rules
  // them out.
  std::vector<std::string> search;
  Time deadline;
};

// A question that is to be sent to a server. The slot stands for its socket: one that is open is
// used again.
struct DnsSend {
  size_t slot = 0;
  size_t server = 0;
  DnsTransport transport = DnsTransport::Datagram;
  ByteVector message;
};

class DnsLookup {
 public:
  // Those of the preferred family, IPv6, first.
  using Addresses = std::vector<IpAddress>;

  // `random`: uniform bits.
  DnsLookup(DnsLookupPlan plan, std::function<uint64_t()> random, Time now);

  // What is to be sent by now. Call it again at next(), and after every answer or failure.
  std::vector<DnsSend> due(Time now);
  Time next(Time now) const;
  // Whether an answer on this slot's socket counts: else close it. A new name begins with new
  // sockets: then all are to be closed (see generation()).
  bool listens(size_t slot, DnsTransport transport) const;
  unsigned generation() const { return generation_; }

  // Bytes from the slot's peer. What is no answer to the slot's question is ignored in datagrams.
  void answered(size_t slot, DnsTransport transport, ConstBytes message, Time now);
  // The socket failed: "refuses connections".
  void failed(size_t slot, DnsTransport transport, std::string why, Time now);

  // Known once due() or one of the two above came to an end. Its error names the servers and what
  // each did; the caller names the host.
  const std::optional<Result<Addresses>>& result() const { return result_; }

 private:
  enum class Verdict { Waiting, Found, NoAddress, NoSuchName, Failed };
  struct Slot {
    Verdict verdict = Verdict::Waiting;
    DnsQuestion question;
    ByteVector query;
    DnsTransport transport = DnsTransport::Datagram;
    unsigned sent = 0;
    Time next_send;
    std::optional<Time> stream_ends;  // while the answer comes over TCP
    std::string why;                  // of Failed
    Addresses partial;                // of a truncated answer
  };
  struct Found {
    Addresses addresses;
    std::optional<Time> since;
  };

  void begin_name(Time now);
  void settle(Slot& slot, Verdict verdict, std::string why = {});
  void found(size_t slot, Addresses addresses, Time now);
  void stream_failed(size_t slot, std::string why, Time now);
  void decide(Time now);
  void conclude();
  bool waits_for(size_t family, Time now) const;
  std::string verdict_of(size_t server) const;
  void note_verdicts();
  Error error() const;

  size_t families() const { return plan_.families.size(); }
  size_t server_of(size_t slot) const { return slot / families(); }

  DnsLookupPlan plan_;
  std::function<uint64_t()> random_;
  std::vector<std::string> names_;  // to be tried in order
  size_t name_ = 0;
  unsigned generation_ = 0;
  Time began_;                         // with this name
  std::vector<bool> silent_;           // servers that have not answered in time
  std::vector<Slot> slots_;            // server by server, each with all families
  std::vector<Found> found_;           // by family
  std::vector<std::string> verdicts_;  // of each server on the name as it was given
  bool denied_ = false;                // a server says that this has no such name or address
  std::optional<Result<Addresses>> result_;
};

}  // namespace curlingiron
