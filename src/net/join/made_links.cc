#include "net/join/made_links.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {
namespace {

// How soon to try again while a module may still be loading.
constexpr Duration kRetry = 250ms;
constexpr Duration kLongestRetry = 8s;

}  // namespace

MadeLinks::MadeLinks(const NetworkConfig& config, LinkTarget& target, const DeviceMap& devices,
                     std::function<void(const Link&)> appeared)
    : config_(config),
      target_(target),
      devices_(devices),
      appeared_(std::move(appeared)),
      pause_(kRetry) {}

// Each after what it lies on.
void MadeLinks::make(Time time) {
  again_at_.reset();
  bool failed = false;
  for (const LinkConfig* wanted : order_of_making(config_)) {
    if (wanted->bond) failed = !make_bond(*wanted) || failed;
    if (wanted->vlan) failed = !make_vlan(*wanted) || failed;
  }
  if (!failed) {
    pause_ = kRetry;
    return;
  }
  again_at_ = time + pause_;
  pause_ = std::min(pause_ * 2, kLongestRetry);
}

bool MadeLinks::holds(int index) const {
  return std::find(made_.begin(), made_.end(), index) != made_.end();
}

void MadeLinks::forget(int index) { std::erase(made_, index); }

const std::string* MadeLinks::trouble(const std::string& name) const {
  auto found = trouble_.find(name);
  return found == trouble_.end() ? nullptr : &found->second;
}

// Those made last lie on those made before.
void MadeLinks::remove_all() {
  for (auto index = made_.rbegin(); index != made_.rend(); ++index) {
    if (auto gone = target_.remove_link(*index); !gone.ok() && gone.error().code() != ENODEV) {
      log_warning(concat("the interface with index ", *index, " stays"), gone.error());
    }
  }
}

bool MadeLinks::made(const std::string& name, const Result<int>& index) {
  if (!index.ok()) {
    log_debug(concat(name, " cannot be made yet: ", index.error().message()));
    trouble_[name] = index.error().message();
    return false;
  }
  trouble_.erase(name);
  made_.push_back(index.value());
  Result<std::vector<Link>> links = target_.links();
  if (!links.ok()) return false;
  for (const Link& link : links.value()) {
    if (link.index == index.value()) appeared_(link);
  }
  return true;
}

bool MadeLinks::remove_bond(const std::string& name) {
  Result<std::vector<Link>> links = target_.links();
  if (!links.ok()) return false;
  for (const Link& link : links.value()) {
    if (link.name == name && link.kind == "bond") return target_.remove_link(link.index).ok();
  }
  return false;
}

// As the kernel has it now: its message may still be on its way.
int MadeLinks::master_of(int index) {
  Result<std::vector<Link>> links = target_.links();
  if (!links.ok()) return 0;
  for (const Link& link : links.value()) {
    if (link.index == index) return link.master;
  }
  return 0;
}

bool MadeLinks::make_bond(const LinkConfig& wanted) {
  std::optional<int> bond = devices_.index_of(wanted.name);
  if (!bond) {
    int preferred = devices_.index_of(wanted.bond->primary).value_or(0);
    Result<int> index = target_.create_bond(wanted.name, wanted.bond->options, preferred);
    // A driver that is built in has made one of its own.
    if (!index.ok() && index.error().code() == EEXIST && remove_bond(wanted.name)) {
      index = target_.create_bond(wanted.name, wanted.bond->options, preferred);
    }
    if (!made(wanted.name, index)) return false;
    bond = devices_.index_of(wanted.name);
    if (!bond) return false;
  }
  std::vector<std::string> refused;
  for (const std::string& name : wanted.bond->members) {
    std::optional<int> member = devices_.index_of(name);
    if (!member || master_of(*member) == *bond) continue;
    // A member must be down to be taken in; the bond brings it up.
    Result<void> taken = target_.set_down(*member);
    if (taken.ok()) taken = target_.set_master(*member, *bond);
    if (taken.ok()) continue;
    refused.push_back(concat(devices_.kernel_name(name).value_or(name), ": not taken into ",
                             wanted.name, " (", taken.error().message(), ')'));
  }
  if (refused.empty()) {
    trouble_.erase(wanted.name);
    return true;
  }
  // Once, not at each try.
  std::string all = join(refused, "; ");
  if (std::exchange(trouble_[wanted.name], all) != all) log_warning(all);
  return false;
}

bool MadeLinks::make_vlan(const LinkConfig& wanted) {
  if (devices_.index_of(wanted.name)) return true;
  std::optional<int> lower = devices_.index_of(wanted.vlan->lower);
  if (!lower) return true;  // made when that is there
  return made(wanted.name, target_.create_vlan(wanted.name, *lower, wanted.vlan->options));
}

}  // namespace curlingiron
