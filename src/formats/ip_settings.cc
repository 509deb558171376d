#include "formats/ip_settings.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

constexpr size_t kMostEntries = 256;  // of each kind, by settings

// Fields between colons; what stands in brackets is one field, and loses them.
std::vector<std::string_view> fields_of(std::string_view text) {
  std::vector<std::string_view> fields;
  size_t start = 0;
  bool inside = false;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '[') inside = true;
    if (i < text.size() && text[i] == ']') inside = false;
    if (i < text.size() && (text[i] != ':' || inside)) continue;
    fields.push_back(text.substr(start, i - start));
    start = i + 1;
  }
  return fields;
}

std::string_view field(const std::vector<std::string_view>& fields, size_t i) {
  return i < fields.size() ? fields[i] : std::string_view();
}

// "52-54-00-12-34-56"
std::optional<MacAddress> dashed_mac(std::string_view text) {
  std::string colons(text);
  if (std::count(colons.begin(), colons.end(), '-') != 5) return std::nullopt;
  std::replace(colons.begin(), colons.end(), '-', ':');
  Result<MacAddress> mac = parse_mac(colons);
  if (!mac.ok()) return std::nullopt;
  return mac.value();
}

LinkConfig& link_by_mac(NetworkConfig& config, const MacAddress& mac) {
  for (LinkConfig& link : config.links) {
    if (link.mac == mac) return link;
  }
  LinkConfig& link = link_of(config, name_of_mac(mac));
  link.mac = mac;
  return link;
}

// The name of the link that a device field means; empty for an empty field.
Result<std::string> device_of(std::string_view text, NetworkConfig& config) {
  if (text.empty()) return std::string();
  if (config.links.size() > kMostEntries) return Error("too many devices");
  if (std::optional<MacAddress> mac = dashed_mac(text)) return link_by_mac(config, *mac).name;
  if (!is_link_name(text)) {
    return Error(concat("\"", printable(text, 40), "\" is no name of a device"));
  }
  if (text == "lo") return std::string(text);
  return link_of(config, text).name;
}

struct Method {
  std::string_view word;
  Ipv4Method ipv4;
  Ipv6Method ipv6;
};
// Unset: as it is. A family that is asked for alone turns the other off, unless that was asked for,
// too; but who asks for DHCP is served by IPv6 as well.
constexpr Method kMethods[] = {{"dhcp", Ipv4Method::Dhcp, Ipv6Method::Unset},
                               {"dhcp4", Ipv4Method::Dhcp, Ipv6Method::Unset},
                               {"on", Ipv4Method::Dhcp, Ipv6Method::Unset},
                               {"any", Ipv4Method::Dhcp, Ipv6Method::Unset},
                               {"single-dhcp", Ipv4Method::Dhcp, Ipv6Method::Unset},
                               {"auto", Ipv4Method::Dhcp, Ipv6Method::Auto},
                               {"dhcp6", Ipv4Method::Off, Ipv6Method::Dhcp6},
                               {"either6", Ipv4Method::Off, Ipv6Method::Dhcp6},
                               {"auto6", Ipv4Method::Off, Ipv6Method::Auto},
                               {"link6", Ipv4Method::Off, Ipv6Method::Off},
                               {"off", Ipv4Method::Off, Ipv6Method::Off},
                               {"none", Ipv4Method::Off, Ipv6Method::Off}};

const Method* find_method(std::string_view word) {
  for (const Method& method : kMethods) {
    if (method.word == word) return &method;
  }
  return nullptr;
}

Result<const Method*> parse_method(std::string_view word) {
  if (const Method* method = find_method(word)) return method;
  if (word == "ibft") return Error("ibft: the firmware's iSCSI table is not read");
  std::string known;
  for (const Method& method : kMethods) {
    known += concat(known.empty() ? "" : ", ", method.word);
  }
  return Error(concat("\"", printable(word, 40), "\" is none of ", known));
}

void set_method(const Method& method, LinkConfig& link) {
  bool asks4 = method.ipv4 == Ipv4Method::Dhcp;
  bool asks6 = method.ipv6 == Ipv6Method::Auto || method.ipv6 == Ipv6Method::Dhcp6;
  if (asks4 || (method.ipv4 == Ipv4Method::Off && link.ipv4 == Ipv4Method::Unset)) {
    link.ipv4 = method.ipv4;
  }
  if (asks6 || (method.ipv6 == Ipv6Method::Off && link.ipv6 == Ipv6Method::Unset)) {
    link.ipv6 = method.ipv6;
  }
}

Result<uint32_t> parse_mtu(std::string_view text) {
  uint32_t mtu = TRY_CONTEXT("mtu", parse_u32(text));
  if (mtu < 68 || mtu > 65535) return Error(concat("mtu ", mtu, " is not between 68 and 65535"));
  return mtu;
}

// The hardware address at the end of ip=: with colons it is six fields.
Result<MacAddress> parse_mac_fields(const std::vector<std::string_view>& fields, size_t first) {
  if (fields.size() == first + 1) {
    if (std::optional<MacAddress> mac = dashed_mac(fields[first])) return *mac;
  }
  std::string text;
  for (size_t i = first; i < fields.size(); ++i) text += concat(text.empty() ? "" : ":", fields[i]);
  return parse_mac(text);
}

// [MTU][:MAC], from field `first` on.
Result<void> apply_mtu_and_mac(const std::vector<std::string_view>& fields, size_t first,
                               LinkConfig& link) {
  if (!field(fields, first).empty()) link.mtu = TRY(parse_mtu(fields[first]));
  if (fields.size() > first + 1 && !(fields.size() == first + 2 && fields[first + 1].empty())) {
    link.set_mac = TRY(parse_mac_fields(fields, first + 1));
  }
  return {};
}

// "255.255.255.0", "24".
Result<uint8_t> parse_netmask(std::string_view text, Family family) {
  if (family == Family::V6 || text.find('.') == std::string_view::npos) {
    uint32_t length = TRY(parse_u32(text));
    if (length > address_bits(family)) {
      return Error(concat("prefix length ", length, " is more than ", address_bits(family)));
    }
    return static_cast<uint8_t>(length);
  }
  std::optional<uint8_t> length = prefix_length(TRY(parse_ipv4(text)));
  if (!length) return Error(concat("\"", printable(text, 40), "\" is not a contiguous netmask"));
  return *length;
}

// "10.0.0.0/8", "10.0.0.0/255.0.0.0", "[2001:db8::/32]", "2001:db8::/32" in one field.
Result<IpPrefix> parse_net(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  size_t slash = text.find('/');
  IpAddress address = TRY(parse_ip(text.substr(0, slash)));
  if (slash == std::string_view::npos) return host_prefix(address);
  return IpPrefix{address, TRY(parse_netmask(text.substr(slash + 1), address.family()))};
}

Result<void> add_nameserver(std::string_view text, const std::string& device,
                            NetworkConfig& config) {
  NameServerConfig server;
  server.address = TRY_CONTEXT("name server", parse_ip(text));
  server.device = device;
  bool known = std::find(config.nameservers.begin(), config.nameservers.end(), server) !=
               config.nameservers.end();
  if (known) return {};
  if (config.nameservers.size() >= kMostEntries) return Error("too many name servers");
  config.nameservers.push_back(std::move(server));
  return {};
}

void add_route(const IpPrefix& destination, HopConfig hop, NetworkConfig& config) {
  RouteConfig route;
  route.destination = destination;
  route.hops.push_back(std::move(hop));
  route.scope = usual_scope(route);
  if (std::find(config.routes.begin(), config.routes.end(), route) == config.routes.end()) {
    config.routes.push_back(std::move(route));
  }
}

// The client, its peer, gateway and netmask: fields 0 to 3.
Result<void> apply_static(const std::vector<std::string_view>& fields, const std::string& device,
                          NetworkConfig& config) {
  constexpr uint8_t kUsualLength4 = 24;
  constexpr uint8_t kUsualLength6 = 64;
  AddressConfig address;
  address.device = device;
  IpPrefix client = TRY(parse_net(fields[0]));
  bool has_length = fields[0].find('/') != std::string_view::npos;
  address.prefix.address = client.address;
  bool v4 = client.address.is_v4();
  address.prefix.length = has_length ? client.length : v4 ? kUsualLength4 : kUsualLength6;
  if (!fields[3].empty()) {
    address.prefix.length =
        TRY_CONTEXT("netmask", parse_netmask(fields[3], client.address.family()));
  }
  uint8_t bits = address_bits(client.address.family());
  if (!fields[1].empty()) {
    IpAddress peer = TRY_CONTEXT("peer", parse_ip(fields[1]));
    bool alone = address.prefix.length == bits && peer.family() == client.address.family();
    if (alone && peer != client.address) address.peer = peer;
  }
  if (v4 && address.prefix.length < 31) {
    address.broadcast = Ipv4{client.address.v4().value | ~prefix_mask(address.prefix.length).value};
  }
  bool known = std::find(config.addresses.begin(), config.addresses.end(), address) !=
               config.addresses.end();
  if (!known) {
    if (config.addresses.size() >= kMostEntries) return Error("too many addresses");
    config.addresses.push_back(address);
  }
  if (fields[2].empty()) return {};
  HopConfig hop;
  hop.device = device;
  hop.gateway = TRY_CONTEXT("gateway", parse_ip(fields[2]));
  if (hop.gateway->is_v4() && !v4) return Error("gateway: is of the other family");
  hop.on_link = !contains(address.prefix, *hop.gateway) && hop.gateway != address.peer &&
                !hop.gateway->is_link_local();
  IpPrefix everything = v4 ? IpPrefix{Ipv4{}, 0} : IpPrefix{Ipv6{}, 0};
  add_route(everything, std::move(hop), config);
  return {};
}

// What stands after METHOD: MTU and MAC, or name servers and a time server.
Result<void> apply_tail(const std::vector<std::string_view>& fields, const std::string& device,
                        NetworkConfig& config) {
  constexpr size_t kTail = 7;
  auto is_empty = [](std::string_view text) { return text.empty(); };
  if (fields.size() <= kTail || std::all_of(fields.begin() + kTail, fields.end(), is_empty)) {
    return {};
  }
  bool servers = parse_ip(fields[kTail]).ok() ||
                 (fields[kTail].empty() && parse_ip(field(fields, kTail + 1)).ok());
  if (!servers) return apply_mtu_and_mac(fields, kTail, link_of(config, device));
  if (fields.size() > kTail + 3) return Error("too many fields");
  for (size_t i = kTail; i < fields.size(); ++i) {
    if (fields[i].empty()) continue;
    // The third is a time server's: the clock is set by other means.
    if (i == kTail + 2) {
      (void)TRY_CONTEXT("time server", parse_ip(fields[i]));
    } else {
      TRY(add_nameserver(fields[i], device, config));
    }
  }
  return {};
}

Result<void> apply_long_form(const std::vector<std::string_view>& fields, NetworkConfig& config,
                             std::string& hostname) {
  std::string_view word = field(fields, 6);
  const Method* method = word.empty() ? nullptr : TRY(parse_method(word));
  bool has_client = !fields[0].empty();
  if (!has_client && method == nullptr) return Error("neither an address nor a method is given");
  std::string device = TRY_CONTEXT("device", device_of(field(fields, 5), config));
  if (has_client) TRY(apply_static(fields, device, config));
  // "none" beside an address says just that the address is all.
  bool asks =
      method != nullptr && (!has_client || (method->word != "none" && method->word != "off"));
  if (asks) set_method(*method, link_of(config, device));
  if (std::string_view name = field(fields, 4); !name.empty()) {
    if (name.size() > 64 || !is_domain(name)) {
      return Error(concat("\"", printable(name, 70), "\" is no host name"));
    }
    hostname = std::string(name);
  }
  return apply_tail(fields, device, config);
}

// The number at the end of a VLAN's name.
Result<uint16_t> vlan_number(std::string_view name) {
  size_t last = name.find_last_not_of("0123456789");
  std::string_view digits = last == std::string_view::npos ? name : name.substr(last + 1);
  Result<uint32_t> number = parse_u32(digits);
  if (!number.ok() || number.value() < 1 || number.value() > 4094) {
    return Error(concat("\"", printable(name, 40),
                        "\" does not end in the VLAN's number, 1 to 4094, as vlan5 or eth0.5"));
  }
  return static_cast<uint16_t>(number.value());
}

Result<void> parse_bond_option(std::string_view text, NetworkConfig& config, BondConfig& bond) {
  size_t equals = text.find('=');
  std::string_view name = text.substr(0, equals);
  std::string_view value =
      equals == std::string_view::npos ? std::string_view() : text.substr(equals + 1);
  if (name == "mode") {
    std::optional<BondMode> mode = parse_bond_mode(value);
    if (!mode) return Error(concat("mode: \"", printable(value, 40), "\" is no mode of a bond"));
    bond.options.mode = *mode;
    return {};
  }
  if (name == "primary") {
    bond.primary = TRY_CONTEXT(name, device_of(value, config));
    return {};
  }
  if (name == "arp_ip_target") {
    for (std::string_view target : split(value, ';')) {
      bond.options.arp_targets.push_back(TRY_CONTEXT(name, parse_ipv4(target)));
      if (bond.options.arp_targets.size() > 16) return Error("arp_ip_target: more than 16");
    }
    return {};
  }
  std::vector<std::string_view> known = {"mode", "primary", "arp_ip_target"};
  for (const BondOption& option : bond_options()) {
    known.push_back(option.name);
    // The kernel has two names for it.
    if (option.name != name && !(name == "num_unsol_na" && option.name == "num_grat_arp")) continue;
    bond.options.*option.value = TRY_CONTEXT(name, parse_bond_value(option, value));
    return {};
  }
  std::optional<std::string_view> near = nearest(name, known);
  return Error(concat("\"", printable(name, 40), "\" is no option of a bond",
                      near ? concat("; did you mean \"", *near, "\"?") : ""));
}

// Nothing of a value that is refused is kept.
template <typename Apply>
Result<void> all_or_nothing(NetworkConfig& config, Apply apply) {
  NetworkConfig draft = config;
  TRY(apply(draft));
  TRY(check_network_config(draft));
  config = std::move(draft);
  return {};
}

}  // namespace

Result<void> apply_ip(std::string_view value, NetworkConfig& config, std::string& hostname) {
  std::vector<std::string_view> fields = fields_of(value);
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    if (fields.size() == 1 && find_method(value) != nullptr) {
      set_method(*find_method(value), link_of(draft, ""));
      return {};
    }
    if (fields.size() >= 2 && find_method(fields[1]) != nullptr) {
      std::string device = TRY_CONTEXT("device", device_of(fields[0], draft));
      LinkConfig& link = link_of(draft, device);
      set_method(*find_method(fields[1]), link);
      return apply_mtu_and_mac(fields, 2, link);
    }
    if (fields.size() >= 4) return apply_long_form(fields, draft, hostname);
    return Error(concat("\"", printable(value, 80),
                        "\" is neither dhcp nor DEVICE:dhcp nor "
                        "ADDRESS::GATEWAY:NETMASK:HOSTNAME:DEVICE:none:DNS:DNS"));
  });
}

Result<void> apply_vlan(std::string_view value, NetworkConfig& config) {
  std::vector<std::string_view> fields = split(value, ':');
  if (fields.size() != 2) return Error("a VLAN is written NAME:DEVICE, as eth0.5:eth0");
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    VlanConfig vlan;
    vlan.options.id = TRY(vlan_number(fields[0]));
    std::string name = TRY(device_of(fields[0], draft));
    vlan.lower = TRY_CONTEXT("device", device_of(fields[1], draft));
    if (vlan.lower.empty()) return Error("a VLAN is written NAME:DEVICE, as eth0.5:eth0");
    link_of(draft, name).vlan = std::move(vlan);
    return {};
  });
}

Result<void> apply_bond(std::string_view value, NetworkConfig& config) {
  std::vector<std::string_view> fields = split(value, ':');
  if (fields.size() > 4) return Error("a bond is written NAME:MEMBER,MEMBER:OPTION=VALUE,…:MTU");
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    BondConfig bond;
    std::string name = TRY(device_of(fields[0].empty() ? "bond0" : fields[0], draft));
    std::string_view members = field(fields, 1);
    for (std::string_view member : split(members.empty() ? "eth0,eth1" : members, ',')) {
      std::string known = TRY_CONTEXT("member", device_of(member, draft));
      if (known.empty()) return Error("a member has no name");
      bond.members.push_back(std::move(known));
    }
    if (!field(fields, 2).empty()) {
      for (std::string_view option : split(fields[2], ',')) {
        TRY(parse_bond_option(option, draft, bond));
      }
    }
    LinkConfig& link = link_of(draft, name);
    link.bond = std::move(bond);
    if (!field(fields, 3).empty()) link.mtu = TRY(parse_mtu(fields[3]));
    return {};
  });
}

Result<void> apply_route(std::string_view value, NetworkConfig& config) {
  std::vector<std::string_view> fields = fields_of(value);
  if (fields.size() < 2 || fields.size() > 3) {
    return Error("a route is written NET/MASK:GATEWAY:DEVICE; IPv6 in brackets");
  }
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    if (draft.routes.size() >= kMostEntries) return Error("too many routes");
    IpPrefix net = TRY(parse_net(fields[0]));
    HopConfig hop;
    if (!fields[1].empty()) hop.gateway = TRY_CONTEXT("gateway", parse_ip(fields[1]));
    hop.device = TRY_CONTEXT("device", device_of(field(fields, 2), draft));
    // A gateway on a link that is named is taken as being there.
    hop.on_link = hop.gateway && !hop.device.empty() && !hop.gateway->is_link_local();
    add_route(network_of(net), std::move(hop), draft);
    return {};
  });
}

Result<void> apply_ifname(std::string_view value, NetworkConfig& config) {
  size_t colon = value.find(':');
  std::string_view name = value.substr(0, colon);
  if (colon == std::string_view::npos || !is_link_name(name)) {
    return Error("a name is given as NAME:MAC, as eth0:52:54:00:12:34:56");
  }
  std::string_view text = value.substr(colon + 1);
  std::optional<MacAddress> dashed = dashed_mac(text);
  MacAddress mac = dashed ? *dashed : TRY(parse_mac(text));
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    if (draft.links.size() > kMostEntries) return Error("too many devices");
    link_of(draft, name).mac = mac;
    return {};
  });
}

Result<void> apply_nameserver(std::string_view value, NetworkConfig& config) {
  size_t zone = value.find('%');
  return all_or_nothing(config, [&](NetworkConfig& draft) -> Result<void> {
    std::string device;
    if (zone != std::string_view::npos) {
      device = TRY_CONTEXT("zone", device_of(value.substr(zone + 1), draft));
    }
    return add_nameserver(value.substr(0, zone), device, draft);
  });
}

Result<MacAddress> parse_bootif(std::string_view value) {
  std::string text(value);
  std::replace(text.begin(), text.end(), '-', ':');
  constexpr size_t kWithType = 20;  // "01:" is ARPHRD_ETHER
  if (text.size() == kWithType && text.starts_with("01:")) text.erase(0, 3);
  return parse_mac(text);
}

void settle_on_boot_nic(const MacAddress& mac, NetworkConfig& config) {
  auto is_free = [](const AddressConfig& address) { return address.device.empty(); };
  if (std::none_of(config.addresses.begin(), config.addresses.end(), is_free)) return;
  std::string device = link_by_mac(config, mac).name;
  for (AddressConfig& address : config.addresses) {
    if (address.device.empty()) address.device = device;
  }
  for (RouteConfig& route : config.routes) {
    for (HopConfig& hop : route.hops) {
      if (hop.device.empty()) hop.device = device;
    }
  }
}

}  // namespace curlingiron
