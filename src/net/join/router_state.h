// What routers said last, and until when it holds (RFC 4861, RFC 8106). A machine without I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "formats/router_advertisement.h"

namespace curlingiron {

class RouterState {
 public:
  void hear(const Ipv6& from, const RouterAdvertisement& advertised, Time time);
  // Another router may be at the other end of the cable now: whoever spoke is not counted.
  void forget_who_spoke() { heard_ = false; }

  bool heard() const { return heard_; }
  std::optional<Ipv6> gateway() const { return gateway_; }  // a default router
  std::vector<Ipv6> name_servers(Time time) const;          // in the order in which they were named
  std::vector<std::string> search_domains(Time time) const;

 private:
  template <typename T>
  struct Announced {
    T what;
    Ipv6 router;
    std::optional<Time> until;  // nullopt: for ever
    bool holds(Time time) const { return !until || time < *until; }
  };
  template <typename T>
  static void learn(std::vector<Announced<T>>& known, const Ipv6& from, const T& what,
                    std::optional<Duration> lifetime, Time time);

  bool heard_ = false;
  std::optional<Ipv6> gateway_;
  std::vector<Announced<Ipv6>> servers_;
  std::vector<Announced<std::string>> domains_;
};

}  // namespace curlingiron
