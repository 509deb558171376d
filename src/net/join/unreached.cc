#include "net/join/unreached.h"

#include <vector>

#include "base/text.h"

namespace curlingiron {
namespace {

std::string describe_family(int index, const Interface& interface, Family family,
                            const PathTable& paths) {
  std::optional<AssignedAddress> address = interface.usable(family);
  if (!address) return interface.report(family);
  std::string trouble = paths.trouble({index, family});
  std::string text =
      concat("has ", format_prefix(address->prefix), " (", interface.via(*address), "), but ",
             trouble.empty() ? "the source has not answered yet" : trouble);
  bool unanswered = family == Family::V4 && interface.waits_for_lease();
  return unanswered ? concat(interface.report(family), "; ", text) : text;
}

std::string describe_interface(int index, const Interface& interface, const PathTable& paths) {
  std::string own = interface.report();
  if (!own.empty()) return concat(interface.label(), ": ", own);
  return concat(interface.label(), ": IPv4: ", describe_family(index, interface, Family::V4, paths),
                ", IPv6: ", describe_family(index, interface, Family::V6, paths));
}

// A link of the configuration that is not there.
std::string describe_missing(const LinkConfig& wanted, const MadeLinks& made) {
  if (const std::string* trouble = made.trouble(wanted.name)) {
    return concat(wanted.name, " cannot be made (", *trouble,
                  "); the initramfs must hold the module ", wanted.bond ? "bonding" : "8021q");
  }
  if (is_virtual(wanted)) return concat(wanted.name, " cannot be made without what it lies on");
  if (wanted.mac) {
    return concat("no network card has the address ", format_mac(*wanted.mac), ", which ",
                  wanted.name, " has in the network settings; its driver may be missing");
  }
  return concat("no network card is called ", wanted.name,
                ", as in the network settings; name it by its MAC address");
}

}  // namespace

Error describe_unreached(const NetworkConfig& config, const Interfaces& interfaces,
                         const MadeLinks& made, const PathTable& paths) {
  if (interfaces.all().empty()) {
    return Error("no network card found; its driver may be missing");
  }
  std::vector<std::string> parts;
  for (const auto& [index, interface] : interfaces.all()) {
    if (interfaces.only_carries(interface) || !interface.plan().wanted) continue;
    parts.push_back(describe_interface(index, interface, paths));
  }
  for (const LinkConfig& wanted : config.links) {
    if (!interfaces.is_configured_here(wanted)) parts.push_back(describe_missing(wanted, made));
  }
  if (parts.empty()) {
    parts.emplace_back("no network card is among those that the network settings name");
  }
  return Error(concat("the source cannot be reached: ", join(parts, "; "),
                      "; check cables, VLANs and servers, or give the network by ip="));
}

}  // namespace curlingiron
