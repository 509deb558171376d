// A link of the kernel, and what is changed of it: what the two families of an interface share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/netlink/types.h"
#include "formats/network_config.h"
#include "sys/fd.h"
#include "sys/route_socket.h"

namespace curlingiron {

// What all interfaces have in common.
struct InterfaceContext {
  const UniqueFd& root;  // holds proc/
  RouteSocket& routes;
  std::string hostname;  // sent to DHCP servers; empty: none
  uint32_t mtu = 0;      // goes before every other; 0: none was given
};

// The same address of the same link, whatever else is said of it.
bool same_address(const AssignedAddress& a, const AssignedAddress& b);

class KernelLink {
 public:
  KernelLink(const InterfaceContext& context, const Link& link, std::string driver);

  const InterfaceContext& context() const { return context_; }
  RouteSocket& routes() { return context_.routes; }
  const Link& now() const { return link_; }
  void see(const Link& link) { link_ = link; }
  std::string label() const;  // "eth0 (e1000)"

  // What is refused is a warning, and stays as it is.
  void set_mac(const MacAddress& mac);
  void set_mtu(uint32_t mtu, bool with_ipv6);
  // /proc/sys/net/FAMILY/conf/LINK/NAME
  void set_kernel(std::string_view family, std::string_view name, std::string_view value);
  void set_addresses(const std::vector<AddressConfig>& addresses);
  void unset_addresses(const std::vector<AddressConfig>& addresses);

  // What the kernel refused last; empty: nothing.
  const std::string& trouble() const { return trouble_; }
  void note_trouble(std::string trouble);  // with a warning
  void clear_trouble() { trouble_.clear(); }
  // The same is tried again, as a module may still be loading.
  void retry_later(Time time, std::string trouble);
  std::optional<Time> retry_at() const { return retry_at_; }
  void begin_retry() { retry_at_.reset(); }

 private:
  const InterfaceContext& context_;
  Link link_;
  std::string driver_;
  std::string trouble_;
  std::optional<Time> retry_at_;
};

}  // namespace curlingiron
