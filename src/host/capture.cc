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
  state.default_routes = TRY(socket.default_routes());
  return state;
}

std::optional<std::string> static_ip_setting(const Ipv4State& state, const std::vector<Nic>& nics,
                                             const std::vector<std::string>& nameservers) {
  auto route = std::min_element(
      state.default_routes.begin(), state.default_routes.end(),
      [](const DefaultRoute& a, const DefaultRoute& b) { return a.metric < b.metric; });
  if (route == state.default_routes.end()) return std::nullopt;
  auto nic = std::find_if(nics.begin(), nics.end(),
                          [&](const Nic& candidate) { return candidate.index == route->index; });
  if (nic == nics.end()) return std::nullopt;
  // Of several addresses, the one whose network holds the gateway; else the first.
  auto address = state.addresses.end();
  for (auto candidate = state.addresses.begin(); candidate != state.addresses.end(); ++candidate) {
    if (candidate->index != route->index) continue;
    Ipv4 mask = prefix_mask(candidate->prefix_length);
    bool near =
        route->gateway && ((candidate->address.value ^ route->gateway->value) & mask.value) == 0;
    if (near || address == state.addresses.end()) address = candidate;
    if (near) break;
  }
  if (address == state.addresses.end() || !address->permanent) return std::nullopt;
  std::string value = concat(format_ipv4(address->address),
                             "::", route->gateway ? format_ipv4(*route->gateway) : "", ":",
                             address->prefix_length, "::", dashed(nic->mac), ":none");
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
