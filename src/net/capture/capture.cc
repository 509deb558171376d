#include "net/capture/capture.h"

#include <algorithm>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

std::string sysfs(const Link& link, std::string_view attribute) {
  return concat("sys/class/net/", link.name, '/', attribute);
}

// "DNS=10.0.0.53 2001:db8::53" of networkd, "SERVERS=…" of systemd-resolved: lines of words. A
// server may have a port, an interface and a name of its certificate: 10.0.0.53:853%2#dns.example.
ResolvConf parse_link_file(std::string_view text) {
  std::string as_resolv_conf;
  for (std::string_view line : split(text, '\n')) {
    size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view key = line.substr(0, equals);
    bool servers = key == "DNS" || key == "SERVERS";
    if (!servers && key != "DOMAINS") continue;
    std::string search;
    for (std::string_view word : split_blank(line.substr(equals + 1))) {
      if (servers) {
        std::string_view address = word.substr(0, word.find_first_of("%#"));
        as_resolv_conf += concat("nameserver ", address, "\n");
      } else if (!word.starts_with('~')) {
        search += concat(" ", word);
      }
    }
    if (!search.empty()) as_resolv_conf += concat("search", search, "\n");
  }
  return parse_resolv_conf(as_resolv_conf);
}

}  // namespace

Result<KernelNetwork> read_kernel_network(const UniqueFd& root, NicRule rule) {
  RouteSocket socket = TRY(RouteSocket::open());
  KernelNetwork state;
  state.links = TRY(socket.links());
  state.addresses = TRY(socket.addresses());
  state.routes = TRY(socket.routes());
  state.rules = TRY(socket.rules());
  state.neighbours = TRY(socket.neighbours());
  for (const Link& link : state.links) {
    if (!link.ethernet) continue;
    if (rule == NicRule::AnyEthernet) {
      if (link.kind.empty() || link.kind == "veth") state.nics.push_back(link.index);
    } else if (is_wireless(root, link.name)) {
      state.wireless.push_back(link.index);
    } else if (link.kind.empty() && exists(root, sysfs(link, "device"))) {
      state.nics.push_back(link.index);
    }
  }
  return state;
}

ResolverFiles read_resolver_files(const UniqueFd& root) {
  ResolverFiles files;
  auto read = [&](const std::string& path) {
    Result<std::string> text = read_text(root, path);
    return text.ok() ? std::move(text).value() : std::string();
  };
  files.resolv_conf = parse_resolv_conf(read("etc/resolv.conf"));
  files.resolved = parse_resolv_conf(read("run/systemd/resolve/resolv.conf"));
  for (const char* directory : {"run/systemd/resolve/netif", "run/systemd/netif/links"}) {
    Result<std::vector<std::string>> names = list_directory(root, directory);
    if (!names.ok()) continue;
    for (const std::string& name : names.value()) {
      Result<uint32_t> index = parse_u32(name);
      if (!index.ok()) continue;
      ResolvConf link = parse_link_file(read(concat(directory, "/", name)));
      if (!link.servers.empty()) files.per_link[static_cast<int>(index.value())] = std::move(link);
    }
  }
  return files;
}

Result<CapturedNetwork> capture_network(const UniqueFd& root, NicRule rule) {
  KernelNetwork state = TRY_CONTEXT("network", read_kernel_network(root, rule));
  return config_of(state, read_resolver_files(root));
}

}  // namespace curlingiron
