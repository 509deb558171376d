#include "host/carried_network.h"

#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "host/settings.h"
#include "net/capture/capture.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

std::string describe_card(const UniqueFd& root, const Link& card) {
  Result<std::string> driver =
      read_link(root, concat("sys/class/net/", card.name, "/device/driver"));
  std::string name = driver.ok() ? driver.value().substr(driver.value().rfind('/') + 1) : "?";
  return concat(card.name, " (", name, "), ", format_mac(card.permanent_mac.value_or(card.mac)),
                card.carrier ? "" : ", no carrier");
}

}  // namespace

Result<CarriedNetwork> choose_network(const UniqueFd& root, const std::string& file,
                                      const Settings& settings, const std::string& built_in) {
  KernelNetwork state = TRY_CONTEXT("network", read_kernel_network(root));
  CarriedNetwork network;
  network.cards = cards_of(state);
  if (settings.network.says_how()) {
    if (!file.empty()) return Error("--network and --set both give a network; give one of them");
    network.of = "set up as --set says";
    return network;
  }
  if (!file.empty()) {
    network.config = TRY(load_network(file));
    network.of = concat("set up as in ", file);
    return network;
  }
  if (!built_in.empty()) {
    network.config = TRY_CONTEXT("the network of the payload", parse_network_config(built_in));
    network.of = "set up as was built into the payload";
    return network;
  }
  CapturedNetwork captured = config_of(state, read_resolver_files(root));
  for (const std::string& note : captured.notes) log_info(note);
  TRY_CONTEXT("the network as captured", check_network_config(captured.config));
  network.config = std::move(captured.config);
  network.of = network.config.says_how()
                   ? "set up as on this machine now:"
                   : "no card has an address now: each asks for one (DHCP, IPv6 routers)";
  return network;
}

Result<ProvenCards> prove_cards(const UniqueFd& root, const std::vector<Link>& cards,
                                const ModuleIndex& index, MadeWhere made) {
  ProvenCards proven;
  for (const Link& card : cards) {
    std::string sysfs = concat("/sys/class/net/", card.name);
    Result<std::string> device = real_path(concat(sysfs, "/device"));
    if (!device.ok()) continue;
    std::vector<DrivenDevice> chain = TRY(driven_devices(root, device.value().substr(1)));
    // A PHY hangs beside its card, on a bus of its own.
    if (Result<std::string> phy = real_path(concat(sysfs, "/phydev")); phy.ok()) {
      std::vector<DrivenDevice> more = TRY(driven_devices(root, phy.value().substr(1)));
      chain.insert(chain.end(), more.begin(), more.end());
    }
    Result<void> covered = check_covered(card.name, chain, index, made);
    if (!covered.ok() && card.carrier) return covered.error();
    proven.shown.push_back(describe_card(root, card));
    proven.usable = proven.usable || (covered.ok() && card.carrier);
  }
  return proven;
}

}  // namespace curlingiron
