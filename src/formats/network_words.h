// The words of a network config's text that are read and written. For formats/network_config*.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "formats/netlink/link_options.h"
#include "formats/network_config.h"

namespace curlingiron {

template <typename T>
struct Named {
  std::string_view word;
  T value;
};

inline constexpr Named<Origin> kOrigins[] = {
    {"dhcp4", Origin::Dhcp4}, {"ra", Origin::Ra}, {"dhcp6", Origin::Dhcp6}};
inline constexpr Named<Ipv4Method> kIpv4Methods[] = {{"dhcp", Ipv4Method::Dhcp},
                                                     {"off", Ipv4Method::Off}};
inline constexpr Named<Ipv6Method> kIpv6Methods[] = {
    {"auto", Ipv6Method::Auto}, {"dhcp6", Ipv6Method::Dhcp6}, {"off", Ipv6Method::Off}};
inline constexpr Named<RouteType> kRouteTypes[] = {{"unicast", RouteType::Unicast},
                                                   {"local", RouteType::Local},
                                                   {"broadcast", RouteType::Broadcast},
                                                   {"anycast", RouteType::Anycast},
                                                   {"multicast", RouteType::Multicast},
                                                   {"blackhole", RouteType::Blackhole},
                                                   {"unreachable", RouteType::Unreachable},
                                                   {"prohibit", RouteType::Prohibit},
                                                   {"throw", RouteType::Throw}};
inline constexpr Named<RuleAction> kRuleActions[] = {{"nop", RuleAction::Nop},
                                                     {"blackhole", RuleAction::Blackhole},
                                                     {"unreachable", RuleAction::Unreachable},
                                                     {"prohibit", RuleAction::Prohibit}};
inline constexpr Named<uint8_t> kScopes[] = {
    {"global", 0}, {"site", 200}, {"link", 253}, {"host", 254}, {"nowhere", 255}};
inline constexpr Named<uint8_t> kPreferences[] = {{"high", 1}, {"low", 3}};
inline constexpr Named<uint8_t> kIpProtocols[] = {
    {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"ipv6-icmp", 58}};
inline constexpr Named<uint32_t> kTables[] = {{"default", 253}, {"main", 254}, {"local", 255}};

template <typename T, size_t N>
std::optional<T> named(const Named<T> (&words)[N], std::string_view word) {
  for (const Named<T>& candidate : words) {
    if (candidate.word == word) return candidate.value;
  }
  return std::nullopt;
}

// The word for a value; empty where it has none.
template <typename T, size_t N>
std::string_view word_for(const Named<T> (&words)[N], const T& value) {
  for (const Named<T>& candidate : words) {
    if (candidate.value == value) return candidate.word;
  }
  return {};
}

}  // namespace curlingiron
