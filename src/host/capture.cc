#include "host/capture.h"

#include <algorithm>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

std::vector<std::string> parse_nameservers(std::string_view text) {
  std::vector<std::string> servers;
  for (std::string_view line : split(text, '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() < 2 || words[0] != "nameserver") continue;
    if (words[1].starts_with("127.") || words[1] == "::1") continue;
    servers.emplace_back(words[1]);
  }
  return servers;
}

// A MAC in ip= is written with '-': ':' separates its fields.
std::string dashed(std::string mac) {
  std::replace(mac.begin(), mac.end(), ':', '-');
  return mac;
}

}  // namespace

Result<Ipv4State> read_ipv4_state() {
  RouteSocket socket = TRY(RouteSocket::open());
  Ipv4State state;
  state.addresses = TRY(socket.addresses());
  state.routes = TRY(socket.routes());
  return state;
}

std::optional<std::string> static_ip_setting(const Ipv4State& state, const std::vector<Nic>& nics,
                                             const std::vector<std::string>& nameservers) {
  const Route* route = nullptr;
  for (const Route& candidate : state.routes) {
    bool out = candidate.family == Family::V4 && candidate.destination.length == 0 &&
               candidate.table == 254 && candidate.hops.size() == 1;
    if (out && (route == nullptr || candidate.metric < route->metric)) route = &candidate;
  }
  if (route == nullptr) return std::nullopt;
  const NextHop& hop = route->hops[0];
  auto nic = std::find_if(nics.begin(), nics.end(),
                          [&](const Nic& candidate) { return candidate.index == hop.index; });
  if (nic == nics.end()) return std::nullopt;
  // Of several addresses, the one whose network holds the gateway; else the first.
  const AssignedAddress* address = nullptr;
  for (const AssignedAddress& candidate : state.addresses) {
    if (candidate.index != hop.index || candidate.prefix.address.is_v6()) continue;
    bool near = hop.gateway && contains(candidate.prefix, *hop.gateway);
    if (near || address == nullptr) address = &candidate;
    if (near) break;
  }
  if (address == nullptr || !address->permanent()) return std::nullopt;
  std::string value =
      concat(format_ip(address->prefix.address), "::", hop.gateway ? format_ip(*hop.gateway) : "",
             ":", address->prefix.length, "::", dashed(nic->mac), ":none");
  // The grammar takes two, and IPv4 only.
  unsigned taken = 0;
  for (const std::string& server : nameservers) {
    if (taken == 2 || !parse_ipv4(server).ok()) continue;
    value += concat(":", server);
    ++taken;
  }
  return value;
}

std::vector<std::string> system_nameservers(const UniqueFd& root) {
  for (const char* path : {"etc/resolv.conf", "run/systemd/resolve/resolv.conf"}) {
    Result<std::string> text = read_text(root, path);
    if (!text.ok()) continue;
    std::vector<std::string> servers = parse_nameservers(text.value());
    if (!servers.empty()) return servers;
  }
  return {};
}

}  // namespace curlingiron
