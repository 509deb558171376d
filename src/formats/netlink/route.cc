#include "formats/netlink/route.h"

#include <linux/rtnetlink.h>

#include <algorithm>

namespace curlingiron {
namespace {

constexpr uint8_t kLargestType = static_cast<uint8_t>(RouteType::Throw);

Result<RouteMetrics> parse_metrics(ConstBytes data) {
  RouteMetrics metrics;
  ByteReader in(data);
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == RTAX_LOCK) metrics.lock = TRY(number_of(value));
    for (const RouteMetric& metric : route_metrics()) {
      if (metric.number == type) metrics.*metric.value = TRY(number_of(value));
    }
  }
  return metrics;
}

ByteVector format_metrics(const RouteMetrics& metrics) {
  ByteWriter out;
  if (metrics.lock != 0) add_number(out, RTAX_LOCK, metrics.lock);
  for (const RouteMetric& metric : route_metrics()) {
    const RouteMetrics::Number& value = metrics.*metric.value;
    if (value) add_number(out, metric.number, *value);
  }
  return std::move(out).bytes();
}

// struct rtvia: a gateway of any family.
Result<void> parse_via(ConstBytes data, NextHop& hop) {
  ByteReader in(data);
  uint16_t number = TRY(in.le16());
  std::optional<Family> family =
      number <= 0xff ? family_of(static_cast<uint8_t>(number)) : std::nullopt;
  if (family) hop.gateway = TRY(address_of(*family, in.rest()));
  return {};
}

Result<void> parse_hop_attribute(Family family, const NetlinkAttribute& attribute, NextHop& hop) {
  if (attribute.type == RTA_GATEWAY) hop.gateway = TRY(address_of(family, attribute.value));
  if (attribute.type == RTA_VIA) TRY(parse_via(attribute.value, hop));
  return {};
}

// A row of struct rtnexthop.
Result<std::vector<NextHop>> parse_hops(Family family, ConstBytes data) {
  constexpr size_t kHeader = 8;
  std::vector<NextHop> hops;
  ByteReader in(data);
  while (!in.at_end()) {
    NextHop hop;
    uint16_t length = TRY(in.le16());
    if (length < kHeader) return Error("a next hop shorter than its header");
    hop.on_link = (TRY(in.u8()) & RTNH_F_ONLINK) != 0;
    hop.weight = static_cast<uint16_t>(TRY(in.u8()) + 1);
    hop.index = static_cast<int>(TRY(in.le32()));
    ByteReader attributes(TRY(in.take(length - kHeader)));
    while (!attributes.at_end()) {
      TRY(parse_hop_attribute(family, TRY(next_attribute(attributes)), hop));
    }
    TRY(in.skip(std::min<size_t>(RTNH_ALIGN(length) - length, in.rest().size())));
    hops.push_back(hop);
  }
  return hops;
}

void add_gateway(ByteWriter& out, Family family, const NextHop& hop) {
  if (!hop.gateway) return;
  if (hop.gateway->family() == family) {
    add_attribute(out, RTA_GATEWAY, *hop.gateway);
    return;
  }
  ByteWriter via;
  via.le16(address_family(hop.gateway->family()));
  if (hop.gateway->is_v4()) {
    via.be32(hop.gateway->v4().value);
  } else {
    via.append(ConstBytes(hop.gateway->v6().bytes));
  }
  add_attribute(out, RTA_VIA, via.bytes());
}

void add_hops(ByteWriter& out, const Route& route) {
  ByteWriter hops;
  for (const NextHop& hop : route.hops) {
    ByteWriter attributes;
    add_gateway(attributes, route.family(), hop);
    hops.le16(static_cast<uint16_t>(8 + attributes.size()));
    hops.u8(hop.on_link ? RTNH_F_ONLINK : 0);
    hops.u8(static_cast<uint8_t>(hop.weight - 1));
    hops.le32(static_cast<uint32_t>(hop.index));
    hops.append(attributes.bytes());
  }
  add_attribute(out, RTA_MULTIPATH, hops.bytes());
}

}  // namespace

Result<void> parse_route(const NetlinkMessage& message, std::vector<Route>& routes) {
  Route route;
  ByteReader in(message.body);
  std::optional<Family> family = family_of(TRY(in.u8()));
  if (!family) return {};
  route.destination.length = TRY(in.u8());
  uint8_t source_length = TRY(in.u8());
  if (std::max(route.destination.length, source_length) > address_bits(*family)) {
    return Error("a prefix that is too long");
  }
  route.tos = TRY(in.u8());
  route.table = TRY(in.u8());
  route.protocol = TRY(in.u8());
  route.scope = TRY(in.u8());
  uint8_t type = TRY(in.u8());
  uint32_t flags = TRY(in.le32());
  if ((flags & RTM_F_CLONED) != 0) return {};  // learnt in use, not configured
  if (type == RTN_UNSPEC || type > kLargestType) return {};
  route.type = RouteType{type};
  if (*family == Family::V6) route.destination.address = Ipv6{};
  NextHop hop;
  hop.on_link = (flags & RTNH_F_ONLINK) != 0;
  while (!in.at_end()) {
    NetlinkAttribute attribute = TRY(next_attribute(in));
    ConstBytes value = attribute.value;
    if (attribute.type == RTA_DST) route.destination.address = TRY(address_of(*family, value));
    if (attribute.type == RTA_SRC && source_length > 0) {
      route.source = IpPrefix{TRY(address_of(*family, value)), source_length};
    }
    if (attribute.type == RTA_OIF) hop.index = static_cast<int>(TRY(number_of(value)));
    if (attribute.type == RTA_PRIORITY) route.metric = TRY(number_of(value));
    if (attribute.type == RTA_TABLE) route.table = TRY(number_of(value));
    if (attribute.type == RTA_PREFSRC) route.preferred = TRY(address_of(*family, value));
    if (attribute.type == RTA_PREF) route.preference = static_cast<uint8_t>(TRY(number_of(value)));
    if (attribute.type == RTA_METRICS) route.metrics = TRY(parse_metrics(value));
    if (attribute.type == RTA_MULTIPATH) route.hops = TRY(parse_hops(*family, value));
    TRY(parse_hop_attribute(*family, attribute, hop));
  }
  if (route.hops.empty() && (hop.index != 0 || hop.gateway)) route.hops.push_back(hop);
  // IPv6 says that these leave by the loopback interface.
  if (is_dead_end(route.type)) route.hops.clear();
  routes.push_back(std::move(route));
  return {};
}

ByteVector format_route(const Route& route) {
  bool single = route.hops.size() == 1 && route.hops[0].weight == 1;
  ByteWriter out;
  out.u8(address_family(route.family()));
  out.u8(route.destination.length);
  out.u8(route.source ? route.source->length : 0);
  out.u8(route.tos);
  out.u8(route.table <= 0xff ? static_cast<uint8_t>(route.table) : uint8_t{RT_TABLE_UNSPEC});
  out.u8(route.protocol);
  out.u8(route.scope);
  out.u8(static_cast<uint8_t>(route.type));
  out.le32(single && route.hops[0].on_link ? RTNH_F_ONLINK : 0);
  if (route.destination.length > 0) add_attribute(out, RTA_DST, route.destination.address);
  if (route.source) add_attribute(out, RTA_SRC, route.source->address);
  add_number(out, RTA_TABLE, route.table);
  if (route.metric != 0) add_number(out, RTA_PRIORITY, route.metric);
  if (route.preferred) add_attribute(out, RTA_PREFSRC, *route.preferred);
  if (route.preference != 0) add_number(out, RTA_PREF, route.preference, 1);
  ByteVector metrics = format_metrics(route.metrics);
  if (!metrics.empty()) add_attribute(out, RTA_METRICS, metrics);
  if (single) {
    add_gateway(out, route.family(), route.hops[0]);
    if (route.hops[0].index != 0) {
      add_number(out, RTA_OIF, static_cast<uint32_t>(route.hops[0].index));
    }
  } else if (!route.hops.empty()) {
    add_hops(out, route);
  }
  return std::move(out).bytes();
}

}  // namespace curlingiron
