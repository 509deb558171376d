// Lines KEY=VALUE as boot loaders give them: whatever they make of a network can be written and
// read.
#include <cstdlib>

#include "base/bytes.h"
#include "base/text.h"
#include "formats/ip_settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  NetworkConfig config;
  std::string hostname;
  for (std::string_view line : split(as_text({data, size}), '\n')) {
    size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view key = line.substr(0, equals);
    std::string_view value = line.substr(equals + 1);
    if (key == "ip") (void)apply_ip(value, config, hostname);
    if (key == "vlan") (void)apply_vlan(value, config);
    if (key == "bond") (void)apply_bond(value, config);
    if (key == "rd.route") (void)apply_route(value, config);
    if (key == "ifname") (void)apply_ifname(value, config);
    if (key == "nameserver") (void)apply_nameserver(value, config);
    if (key == "BOOTIF") {
      Result<MacAddress> mac = parse_bootif(value);
      if (mac.ok()) settle_on_boot_nic(mac.value(), config);
    }
  }
  Result<NetworkConfig> again = parse_network_config(format_network_config(config));
  if (!again.ok() || again.value() != config) std::abort();
  return 0;
}
