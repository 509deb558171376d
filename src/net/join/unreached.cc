#include "net/join/unreached.h"

#include <algorithm>
#include <vector>

#include "base/advice.h"
#include "base/text.h"

namespace curlingiron {
namespace {

// How far a path got, and what there is to say.
struct Reach {
  enum Stage { NoAddress, Unanswered, Answered } stage = NoAddress;
  std::string text;
};

bool is_further(const Reach& a, const Reach& b) { return a.stage > b.stage; }

Reach describe_family(int index, const Interface& interface, Family family,
                      const PathTable& paths) {
  std::optional<AssignedAddress> address = interface.usable(family);
  std::string name = family == Family::V4 ? "IPv4: " : "IPv6: ";
  if (!address) return {Reach::NoAddress, concat(name, interface.report(family))};
  std::string trouble = paths.trouble({index, family});
  std::string text =
      concat("has ", format_prefix(address->prefix), " (", interface.via(*address), "), but ",
             trouble.empty() ? "the source has not answered yet" : trouble);
  bool unanswered = family == Family::V4 && interface.waits_for_lease();
  if (unanswered) text = concat(interface.report(family), "; ", text);
  return {trouble.empty() ? Reach::Unanswered : Reach::Answered, concat(name, text)};
}

Reach describe_interface(int index, const Interface& interface, const PathTable& paths) {
  std::string own = interface.report();
  if (!own.empty()) return {Reach::NoAddress, concat(interface.label(), ": ", own)};
  Reach first = describe_family(index, interface, Family::V4, paths);
  Reach second = describe_family(index, interface, Family::V6, paths);
  if (is_further(second, first)) std::swap(first, second);
  return {first.stage, concat(interface.label(), ": ", first.text, ", ", second.text)};
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
  std::vector<Reach> reached;
  for (const auto& [index, interface] : interfaces.all()) {
    if (interfaces.only_carries(interface) || !interface.plan().wanted) continue;
    reached.push_back(describe_interface(index, interface, paths));
  }
  for (const LinkConfig& wanted : config.links) {
    if (!interfaces.is_configured_here(wanted)) {
      reached.push_back({Reach::NoAddress, describe_missing(wanted, made)});
    }
  }
  if (reached.empty()) {
    reached.push_back(
        {Reach::NoAddress, "no network card is among those that the network settings name"});
  }
  // What got furthest is what there is to mend: it is said first, and where it says what is wrong
  // at the source, nothing else is advised.
  std::ranges::stable_sort(reached, is_further);
  std::string text = "the source cannot be reached: ";
  for (const Reach& each : reached) text += concat(&each == reached.data() ? "" : "; ", each.text);
  if (reached.front().stage != Reach::Answered) {
    text += concat("; check cables, VLANs and servers, or give the network by ",
                   as_typed("ip=ADDRESS"));
  }
  return Error(std::move(text));
}

}  // namespace curlingiron
