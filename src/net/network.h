// The network phase: every NIC up at once, the first that gets an address wins; the others stay as
// fallbacks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/settings.h"
#include "sys/fd.h"

namespace curlingiron {

struct Nic {
  std::string name;    // eth0
  std::string mac;     // "52:54:00:12:34:56", the permanent one where the kernel tells
  std::string driver;  // "e1000"; empty when unknown
  int index = 0;
  bool carrier = false;
};

// Which links count as NICs.
enum class NicRule {
  Physical,     // a device behind them, no `master`, no wireless
  AnyEthernet,  // virtual ones too: tests on veth pairs
};

// Physical Ethernet NICs (a device behind them, no `master`), by sysfs and netlink. `root` holds
// sys/.
Result<std::vector<Nic>> list_nics(const UniqueFd& root);

// A NIC with an address and, where there is one, a route out.
struct Connection {
  std::string interface;
  std::string address;  // "10.0.2.15/24"
  std::string gateway;  // empty: on-link only
  std::string via;      // "dhcp4", "static"
  std::vector<std::string> nameservers;
  std::string domain;
};

// Keeps the addresses for as long as it lives: DHCP renewal runs on a thread of its own.
class Network {
 public:
  // Brings up all NICs, those that appear later too, and waits for the first usable address until
  // `deadline`. The error tells for each NIC how far it got (no carrier, no offer). Writes
  // /etc/resolv.conf below `root`.
  static Result<std::unique_ptr<Network>> join(const UniqueFd& root, const Settings& settings,
                                               Time deadline, NicRule rule = NicRule::Physical);
  ~Network();
  const Connection& connection() const;  // the first one
  // Links down, so that the switch and the next system start clean.
  void leave();

 private:
  struct State;
  explicit Network(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
