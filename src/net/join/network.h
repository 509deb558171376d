// The network phase: every NIC up at once, every path tried, until the source answers on one of
// them. The others stay as fallbacks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/network_config.h"
#include "formats/url.h"
#include "net/http/options.h"
#include "net/http/path.h"
#include "sys/fd.h"
#include "sys/nics.h"

namespace curlingiron {

enum class ClockRule {
  Raise,  // to the Date of a server whose certificate is not valid yet; never back
  Keep,
};

struct NetworkOrder {
  NetworkConfig config;      // empty: DHCP and router advertisements on every NIC
  std::string hostname;      // sent to DHCP servers
  uint32_t mtu = 0;          // of every NIC; 0: as servers and routers say
  std::vector<Url> sources;  // mirrors of each other: one must answer; none: any path will do
  HttpOptions http;          // how they are asked
  NicRule nics = NicRule::Physical;
  ClockRule clock = ClockRule::Raise;
};

// The path that leads to the source.
struct Connection {
  std::string interface;
  std::string address;  // "10.0.2.15/24"
  std::string gateway;  // empty: on-link only
  std::string via;      // "dhcp4", "dhcp6", "ra", "static"
  std::vector<std::string> nameservers;
};

// Keeps addresses, leases and the choice of a path for as long as it lives, on a thread of its own.
class Network final : public PathChooser {
 public:
  // Returns when the source answers. At `deadline` the error says for each NIC and family how far
  // it got. Writes etc/resolv.conf below `root`, which holds proc/ and sys/.
  static Result<std::unique_ptr<Network>> join(const UniqueFd& root, NetworkOrder order,
                                               Time deadline);
  // What a DHCP server on any link gives as settings (DhcpLease::settings), for which all links are
  // brought up and left again; empty where those that answer give none, or nobody answers before
  // `deadline`.
  static Result<std::string> ask_for_settings(const UniqueFd& root, NetworkOrder order,
                                              Time deadline);
  ~Network() override;
  // As it was when the source first answered.
  const Connection& connection() const;
  // Addresses off, made links gone, NICs down, so that the switch and the next system start clean.
  void leave();

  HttpPath path() override;
  void failed(const HttpPath& path, const Error& why) override;
  bool is_gone(const HttpPath& path) override;

 private:
  struct State;
  explicit Network(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
