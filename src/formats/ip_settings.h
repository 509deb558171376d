// The network as boot loaders and installers are given it: dracut.cmdline(7), and the kernel's
// own ip= (Documentation/admin-guide/nfs/nfsroot.rst). Each function adds what one value says.
//
// A device is a name, or a hardware address written 52-54-00-12-34-56. IPv6 addresses stand in
// brackets where colons separate fields.
#pragma once

#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "formats/network_config.h"

namespace curlingiron {

// ip=METHOD
// ip=DEVICE:METHOD[:[MTU][:MAC]]
// ip=CLIENT:[PEER]:[GATEWAY]:[NETMASK]:[HOSTNAME]:[DEVICE][:[METHOD][:[MTU][:MAC]]]
// ip=CLIENT:[PEER]:[GATEWAY]:[NETMASK]:[HOSTNAME]:[DEVICE]:[METHOD]:[DNS]:[DNS]:[NTP]
// METHOD: dhcp, dhcp4, on, any, single-dhcp, dhcp6, auto6, either6, link6, auto, off, none.
// Several add up. PEER counts only beside a netmask of one address; the kernel has a server there.
// `hostname` is set where a host name is given.
Result<void> apply_ip(std::string_view value, NetworkConfig& config, std::string& hostname);
// vlan=NAME:DEVICE; the number is that at the end of NAME: vlan0005, vlan5, eth0.0005, eth0.5.
Result<void> apply_vlan(std::string_view value, NetworkConfig& config);
// bond=NAME[:MEMBER,MEMBER…[:OPTION=VALUE,…[:MTU]]]; several ARP targets are separated by ';'.
Result<void> apply_bond(std::string_view value, NetworkConfig& config);
// rd.route=NET/MASK:[GATEWAY][:DEVICE]
Result<void> apply_route(std::string_view value, NetworkConfig& config);
// ifname=NAME:MAC: how other settings call this NIC.
Result<void> apply_ifname(std::string_view value, NetworkConfig& config);
// nameserver=ADDRESS[%DEVICE]
Result<void> apply_nameserver(std::string_view value, NetworkConfig& config);
// BOOTIF=01-52-54-00-12-34-56 (or without the 01, or with ':'): the NIC that the firmware booted
// from.
Result<MacAddress> parse_bootif(std::string_view value);
// What is static and was given no device goes to that NIC. DHCP asks on every NIC anyway.
void settle_on_boot_nic(const MacAddress& mac, NetworkConfig& config);

}  // namespace curlingiron
