#include "formats/resolv_conf.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/text.h"
#include "formats/dns.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

constexpr size_t kLongestInterface = 15;

bool is_interface_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestInterface &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

std::optional<ResolvConf::Server> parse_server(std::string_view text) {
  ResolvConf::Server server;
  size_t percent = text.find('%');
  if (percent != std::string_view::npos) {
    std::string_view zone = text.substr(percent + 1);
    if (!is_interface_name(zone)) return std::nullopt;
    server.zone = std::string(zone);
    text = text.substr(0, percent);
  }
  Result<IpAddress> address = parse_ip(text);
  if (!address.ok()) return std::nullopt;
  server.address = address.value();
  return server;
}

std::vector<std::string> parse_domains(std::span<const std::string_view> words) {
  std::vector<std::string> domains;
  for (std::string_view word : words) {
    if (word.ends_with('.')) word.remove_suffix(1);
    if (is_host_name(word) && domains.size() < kMostSearchDomains) domains.emplace_back(word);
  }
  return domains;
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  for (std::string_view line : split(text, '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() < 2) continue;
    std::span<const std::string_view> values = std::span(words).subspan(1);
    if (words[0] == "nameserver") {
      std::optional<ResolvConf::Server> server = parse_server(values[0]);
      bool known = server && std::ranges::find(conf.servers, *server) != conf.servers.end();
      if (server && !known && conf.servers.size() < kMostNameServers) {
        conf.servers.push_back(std::move(*server));
      }
    } else if (words[0] == "search") {
      conf.search = parse_domains(values);
    } else if (words[0] == "domain") {
      conf.search = parse_domains(values.first(1));
    }
  }
  return conf;
}

std::vector<IpAddress> addresses_in_hosts(std::string_view text, std::string_view host) {
  std::vector<IpAddress> addresses;
  for (std::string_view line : split(text, '\n')) {
    std::vector<std::string_view> words = split_blank(line.substr(0, line.find('#')));
    if (words.size() < 2 || addresses.size() == kMostDnsAddresses) continue;
    bool named = std::any_of(words.begin() + 1, words.end(), [&](std::string_view word) {
      return equal_ignoring_case(word, host);
    });
    if (!named) continue;
    Result<IpAddress> address = parse_ip(words[0]);
    if (address.ok()) addresses.push_back(address.value());
  }
  return addresses;
}

}  // namespace curlingiron
