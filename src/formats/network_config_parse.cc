// The text of a network config, read.
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/network_words.h"
#include "formats/payload_layout.h"

namespace curlingiron {
namespace {

constexpr size_t kMostLines = 20000;  // whose addresses are compared with one another
constexpr size_t kMostMembers = 64;   // of a bond, a list, a route

// The words of one line.
class Line {
 public:
  explicit Line(std::string_view text) : words_(split_blank(text)) {}

  bool at_end() const { return position_ == words_.size(); }
  std::string_view word() { return words_[position_++]; }  // not at the end
  std::string_view peek() const { return at_end() ? std::string_view() : words_[position_]; }
  // The word after one that wants another.
  Result<std::string_view> value(std::string_view what) {
    if (at_end()) return Error(concat("after \"", what, "\" a value is missing"));
    return word();
  }

 private:
  std::vector<std::string_view> words_;
  size_t position_ = 0;
};

Error not_a_word(std::string_view word, std::string_view statement, std::string_view known) {
  return Error(
      concat("\"", printable(word, 40), "\" is no word of ", statement, "; it takes ", known));
}

template <typename T>
Result<T> parse_number(std::string_view text, uint64_t least, uint64_t most) {
  bool hexadecimal = text.starts_with("0x");
  uint64_t value = TRY(hexadecimal ? parse_hex_u64(text.substr(2)) : parse_u64(text));
  if (value < least || value > most) {
    return Error(concat(value, " is not between ", least, " and ", most));
  }
  return static_cast<T>(value);
}

template <typename T>
Result<T> number(Line& line, std::string_view what, uint64_t least = 0,
                 uint64_t most = std::numeric_limits<T>::max()) {
  return TRY_CONTEXT(what, parse_number<T>(TRY(line.value(what)), least, most));
}

template <typename T, size_t N>
std::string list_of(const Named<T> (&words)[N]) {
  std::string text;
  for (const Named<T>& candidate : words) {
    text += concat(text.empty() ? "" : ", ", candidate.word);
  }
  return text;
}

template <typename T, size_t N>
Result<T> choice(Line& line, std::string_view what, const Named<T> (&words)[N]) {
  std::string_view word = TRY(line.value(what));
  std::optional<T> value = named(words, word);
  if (value) return *value;
  return Error(concat(what, ": \"", printable(word, 40), "\" is none of ", list_of(words)));
}

template <typename T, size_t N>
Result<T> choice_or_number(Line& line, std::string_view what, const Named<T> (&words)[N]) {
  std::optional<T> value = named(words, line.peek());
  if (!value) return number<T>(line, what);
  line.word();
  return *value;
}

Result<IpAddress> ip(Line& line, std::string_view what) {
  return TRY_CONTEXT(what, parse_ip(TRY(line.value(what))));
}

Result<IpPrefix> prefix(Line& line, std::string_view what) {
  return TRY_CONTEXT(what, parse_prefix(TRY(line.value(what))));
}

Result<MacAddress> mac(Line& line, std::string_view what) {
  return TRY_CONTEXT(what, parse_mac(TRY(line.value(what))));
}

Result<std::string> device(Line& line, std::string_view what) {
  std::string_view name = TRY(line.value(what));
  if (is_link_name(name)) return std::string(name);
  return Error(concat(what, ": \"", printable(name, 40), "\" is no name of a link"));
}

template <typename T>
Result<NumberRange<T>> range(Line& line, std::string_view what) {
  std::string_view text = TRY(line.value(what));
  uint64_t most = std::numeric_limits<T>::max();
  size_t dash = text.find('-');
  NumberRange<T> range;
  range.first = TRY_CONTEXT(what, parse_number<T>(text.substr(0, dash), 0, most));
  range.last = range.first;
  if (dash != std::string_view::npos) {
    range.last = TRY_CONTEXT(what, parse_number<T>(text.substr(dash + 1), range.first, most));
  }
  return range;
}

Result<std::vector<std::string>> names(Line& line, std::string_view what) {
  std::vector<std::string> names;
  for (std::string_view name : split(TRY(line.value(what)), ',')) {
    if (!is_link_name(name)) {
      return Error(concat(what, ": \"", printable(name, 40), "\" is no name of a link"));
    }
    if (names.size() == kMostMembers) return Error(concat(what, ": more than ", kMostMembers));
    names.emplace_back(name);
  }
  return names;
}

Result<std::vector<Ipv4>> arp_targets(Line& line) {
  std::vector<Ipv4> targets;
  for (std::string_view text : split(TRY(line.value("arp_ip_target")), ',')) {
    targets.push_back(TRY_CONTEXT("arp_ip_target", parse_ipv4(text)));
    if (targets.size() > 16) return Error("arp_ip_target: more than 16");
  }
  return targets;
}

// True where the word belongs to a bond.
Result<bool> parse_bond_word(Line& line, std::string_view word, BondConfig& bond) {
  if (word == "mode") {
    std::string_view text = TRY(line.value(word));
    std::optional<BondMode> mode = parse_bond_mode(text);
    if (!mode) {
      return Error(
          concat("mode: \"", printable(text, 40), "\" is no mode of a bond, such as 802.3ad"));
    }
    bond.options.mode = *mode;
    return true;
  }
  if (word == "primary") {
    bond.primary = TRY(device(line, word));
    return true;
  }
  if (word == "arp_ip_target") {
    bond.options.arp_targets = TRY(arp_targets(line));
    return true;
  }
  for (const BondOption& option : bond_options()) {
    if (option.name != word) continue;
    std::string_view text = TRY(line.value(word));
    bond.options.*option.value = TRY_CONTEXT(word, parse_bond_value(option, text));
    return true;
  }
  return false;
}

Result<void> parse_link(Line& line, NetworkConfig& config) {
  std::string_view name = TRY(line.value("link"));
  LinkConfig link;
  if (name != "*") {
    if (!is_link_name(name)) {
      return Error(concat("\"", printable(name, 40), "\" is no name of a link"));
    }
    link.name = std::string(name);
  }
  while (!line.at_end()) {
    std::string_view word = line.word();
    if (word == "mac") {
      link.mac = TRY(mac(line, word));
    } else if (word == "address") {
      link.set_mac = TRY(mac(line, word));
    } else if (word == "mtu") {
      link.mtu = TRY(number<uint32_t>(line, word, 68, 65535));
    } else if (word == "ipv4") {
      link.ipv4 = TRY(choice(line, word, kIpv4Methods));
    } else if (word == "ipv6") {
      link.ipv6 = TRY(choice(line, word, kIpv6Methods));
    } else if (word == "vlan") {
      VlanConfig vlan;
      vlan.options.id = TRY(number<uint16_t>(line, word, 0, 4094));
      if (line.at_end() || line.word() != "on")
        return Error("vlan NUMBER is followed by \"on LINK\"");
      vlan.lower = TRY(device(line, "on"));
      link.vlan = std::move(vlan);
    } else if (word == "qinq" && link.vlan) {
      link.vlan->options.qinq = true;
    } else if (word == "bond") {
      link.bond.emplace().members = TRY(names(line, word));
    } else if (!link.bond || !TRY(parse_bond_word(line, word, *link.bond))) {
      return not_a_word(word, "link",
                        "mac, address, mtu, ipv4, ipv6, vlan, qinq, bond, and after bond its "
                        "options");
    }
  }
  config.links.push_back(std::move(link));
  return {};
}

Result<void> parse_address(Line& line, NetworkConfig& config) {
  AddressConfig address;
  address.prefix = TRY(prefix(line, "address"));
  while (!line.at_end()) {
    std::string_view word = line.word();
    if (word == "dev") {
      address.device = TRY(device(line, word));
    } else if (word == "peer") {
      address.peer = TRY(ip(line, word));
    } else if (word == "broadcast") {
      address.broadcast = TRY_CONTEXT(word, parse_ipv4(TRY(line.value(word))));
    } else if (word == "scope") {
      address.scope = TRY(choice_or_number(line, word, kScopes));
    } else if (word == "metric") {
      address.metric = TRY(number<uint32_t>(line, word));
    } else if (word == "noprefixroute") {
      address.no_prefix_route = true;
    } else if (word == "from") {
      address.origin = TRY(choice(line, word, kOrigins));
    } else {
      return not_a_word(word, "address",
                        "dev, peer, broadcast, scope, metric, noprefixroute, from");
    }
  }
  config.addresses.push_back(std::move(address));
  return {};
}

// True where the word belongs to a next hop.
Result<bool> parse_hop_word(Line& line, std::string_view word, HopConfig& hop) {
  if (word == "via") {
    hop.gateway = TRY(ip(line, word));
  } else if (word == "dev") {
    hop.device = TRY(device(line, word));
  } else if (word == "onlink") {
    hop.on_link = true;
  } else if (word == "weight") {
    hop.weight = TRY(number<uint16_t>(line, word, 1, 256));
  } else {
    return false;
  }
  return true;
}

Result<bool> parse_metric_word(Line& line, std::string_view word, RouteMetrics& metrics) {
  for (const RouteMetric& metric : route_metrics()) {
    if (metric.name != word) continue;
    if (line.peek() == "lock") {
      line.word();
      metrics.lock |= uint32_t{1} << metric.number;
    }
    metrics.*metric.value = TRY(number<uint32_t>(line, word));
    return true;
  }
  return false;
}

// "from dhcp4" is where it comes from, "from 2001:db8::/48" whom it is for.
Result<void> parse_route_from(Line& line, RouteConfig& route) {
  if (std::optional<Origin> origin = named(kOrigins, line.peek())) {
    line.word();
    route.origin = *origin;
    return {};
  }
  route.source = TRY(prefix(line, "from"));
  return {};
}

Result<void> parse_route_words(Line& line, RouteConfig& route, std::optional<uint8_t>& scope) {
  HopConfig single;
  HopConfig* hop = &single;
  while (!line.at_end()) {
    std::string_view word = line.word();
    if (word == "nexthop") {
      if (route.hops.size() == kMostMembers) return Error("more than 64 next hops");
      hop = &route.hops.emplace_back();
    } else if (word == "table") {
      route.table = TRY(choice_or_number(line, word, kTables));
    } else if (word == "metric") {
      route.metric = TRY(number<uint32_t>(line, word));
    } else if (word == "scope") {
      scope = TRY(choice_or_number(line, word, kScopes));
    } else if (word == "tos") {
      route.tos = TRY(number<uint8_t>(line, word));
    } else if (word == "src") {
      route.preferred = TRY(ip(line, word));
    } else if (word == "pref") {
      route.preference = TRY(choice_or_number(line, word, kPreferences));
    } else if (word == "from") {
      TRY(parse_route_from(line, route));
    } else if (!TRY(parse_hop_word(line, word, *hop)) &&
               !TRY(parse_metric_word(line, word, route.metrics))) {
      return not_a_word(
          word, "route",
          "via, dev, onlink, weight, nexthop, table, metric, scope, tos, src, pref, "
          "from, mtu, window, advmss, hoplimit, initcwnd, rto_min, initrwnd, quickack");
    }
  }
  if (single == HopConfig{}) return {};
  if (!route.hops.empty()) return Error("via and dev stand after each nexthop, or there is none");
  route.hops.push_back(std::move(single));
  return {};
}

Result<void> parse_route(Line& line, NetworkConfig& config) {
  RouteConfig route;
  if (std::optional<RouteType> type = named(kRouteTypes, line.peek())) {
    line.word();
    route.type = *type;
  }
  bool any = line.peek() == "default";
  if (any) {
    line.word();
  } else {
    route.destination = TRY(prefix(line, "route"));
  }
  std::optional<uint8_t> scope;
  TRY(parse_route_words(line, route, scope));
  // Without a prefix the gateway decides the family.
  if (any && !route.hops.empty() && route.hops[0].gateway && route.hops[0].gateway->is_v6()) {
    route.destination = {Ipv6{}, 0};
  }
  route.scope = scope.value_or(usual_scope(route));
  config.routes.push_back(std::move(route));
  return {};
}

Result<void> parse_mark(Line& line, Rule& rule) {
  std::string_view text = TRY(line.value("fwmark"));
  size_t slash = text.find('/');
  rule.mark = TRY_CONTEXT("fwmark", parse_number<uint32_t>(text.substr(0, slash), 0, UINT32_MAX));
  rule.mask = UINT32_MAX;
  if (slash == std::string_view::npos) return {};
  rule.mask = TRY_CONTEXT("fwmark", parse_number<uint32_t>(text.substr(slash + 1), 0, UINT32_MAX));
  return {};
}

Result<void> parse_rule(Line& line, NetworkConfig& config) {
  Rule rule;
  rule.priority = TRY(number<uint32_t>(line, "rule"));
  bool acts = false;
  std::optional<Family> family;
  while (!line.at_end()) {
    std::string_view word = line.word();
    std::optional<RuleAction> action = named(kRuleActions, word);
    if (word == "inet") {
      family = Family::V4;
    } else if (word == "inet6") {
      family = Family::V6;
    } else if (word == "not") {
      rule.invert = true;
    } else if (word == "from" || word == "to") {
      (word == "from" ? rule.from : rule.to) = TRY(prefix(line, word));
    } else if (word == "iif") {
      rule.iif = TRY(device(line, word));
    } else if (word == "oif") {
      rule.oif = TRY(device(line, word));
    } else if (word == "fwmark") {
      TRY(parse_mark(line, rule));
    } else if (word == "tos") {
      rule.tos = TRY(number<uint8_t>(line, word));
    } else if (word == "ipproto") {
      rule.ip_protocol = TRY(choice_or_number(line, word, kIpProtocols));
    } else if (word == "sport") {
      rule.source_ports = TRY(range<uint16_t>(line, word));
    } else if (word == "dport") {
      rule.destination_ports = TRY(range<uint16_t>(line, word));
    } else if (word == "uidrange") {
      rule.users = TRY(range<uint32_t>(line, word));
    } else if (word == "suppress_prefixlength") {
      rule.suppress_prefix = TRY(number<uint32_t>(line, word, 0, 128));
    } else if (word == "lookup" || word == "table") {
      rule.table = TRY(choice_or_number(line, word, kTables));
      rule.action = RuleAction::Lookup;
      acts = true;
    } else if (word == "goto") {
      rule.jump = TRY(number<uint32_t>(line, word));
      rule.action = RuleAction::Goto;
      acts = true;
    } else if (action) {
      rule.action = *action;
      acts = true;
    } else {
      return not_a_word(word, "rule",
                        "inet, inet6, not, from, to, iif, oif, fwmark, tos, ipproto, sport, dport, "
                        "uidrange, suppress_prefixlength, lookup, goto, nop, blackhole, "
                        "unreachable, prohibit");
    }
  }
  if (!acts) return Error("a rule says what to do, such as \"lookup TABLE\"");
  if (rule.action != RuleAction::Lookup) rule.table = 0;
  if (rule.action != RuleAction::Goto) rule.jump = 0;
  const std::optional<IpPrefix>& prefix = rule.from ? rule.from : rule.to;
  if (!family && prefix) family = prefix->address.family();
  rule.family = family.value_or(Family::V4);
  config.rules.push_back(std::move(rule));
  return {};
}

Result<void> parse_neighbour(Line& line, NetworkConfig& config) {
  NeighbourConfig neighbour;
  neighbour.address = TRY(ip(line, "neighbour"));
  bool has_mac = false;
  while (!line.at_end()) {
    std::string_view word = line.word();
    if (word == "mac") {
      neighbour.mac = TRY(mac(line, word));
      has_mac = true;
    } else if (word == "dev") {
      neighbour.device = TRY(device(line, word));
    } else if (word == "permanent") {
      neighbour.permanent = true;
    } else {
      return not_a_word(word, "neighbour", "mac, dev, permanent");
    }
  }
  if (!has_mac || neighbour.device.empty()) return Error("a neighbour takes both mac and dev");
  config.neighbours.push_back(std::move(neighbour));
  return {};
}

Result<void> parse_nameserver(Line& line, NetworkConfig& config) {
  NameServerConfig server;
  server.address = TRY(ip(line, "nameserver"));
  while (!line.at_end()) {
    std::string_view word = line.word();
    if (word == "dev") {
      server.device = TRY(device(line, word));
    } else if (word == "port") {
      server.port = TRY(number<uint16_t>(line, word, 1));
    } else if (word == "from") {
      server.origin = TRY(choice(line, word, kOrigins));
    } else {
      return not_a_word(word, "nameserver", "dev, port, from");
    }
  }
  config.nameservers.push_back(std::move(server));
  return {};
}

Result<void> parse_search(Line& line, NetworkConfig& config) {
  if (line.at_end()) return Error("search takes domains");
  while (!line.at_end()) {
    if (config.search.size() == kMostMembers) return Error("more than 64 domains");
    std::string_view domain = line.word();
    if (!is_domain(domain)) return Error(concat("\"", printable(domain, 60), "\" is no domain"));
    config.search.emplace_back(domain);
  }
  return {};
}

Result<void> parse_captured(Line& line, NetworkConfig& config) {
  if (!line.at_end()) return Error("captured takes no words");
  config.captured = true;
  return {};
}

struct Statement {
  std::string_view word;
  Result<void> (*parse)(Line& line, NetworkConfig& config);
};
constexpr Statement kStatements[] = {
    {"link", parse_link},     {"address", parse_address},     {"route", parse_route},
    {"rule", parse_rule},     {"neighbour", parse_neighbour}, {"nameserver", parse_nameserver},
    {"search", parse_search}, {"captured", parse_captured}};

Result<void> parse_line(std::string_view text, NetworkConfig& config) {
  Line line(text);
  if (line.at_end()) return {};
  std::string_view first = line.word();
  std::string known;
  for (const Statement& statement : kStatements) {
    if (statement.word == first) return statement.parse(line, config);
    known += concat(known.empty() ? "" : ", ", statement.word);
  }
  return Error(concat("\"", printable(first, 40), "\" begins no line; a line begins with ", known));
}

// Up to a '#' that begins a word.
std::string_view without_comment(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      return text.substr(0, i);
    }
  }
  return text;
}

}  // namespace

Result<NetworkConfig> parse_network_config(std::string_view text) {
  if (text.size() > kNetworkFile.largest) return Error("network: larger than 4 MiB");
  NetworkConfig config;
  size_t count = 0;
  for (std::string_view line : split(text, '\n')) {
    if (++count > kMostLines) return Error(concat("network: more than ", kMostLines, " lines"));
    TRY_CONTEXT(concat("network line ", count), parse_line(without_comment(line), config));
  }
  TRY_CONTEXT("network", check_network_config(config));
  return config;
}

}  // namespace curlingiron
