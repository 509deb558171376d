#include "net/join/kernel_link.h"

#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "net/join/configured.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

// How soon to try again what the kernel refused while a module may still be loading.
constexpr Duration kRetry = 250ms;
constexpr uint32_t kSmallestIpv6Mtu = 1280;  // RFC 8200 section 5: below, the kernel drops IPv6

}  // namespace

bool same_address(const AssignedAddress& a, const AssignedAddress& b) {
  return a.index == b.index && a.prefix == b.prefix;
}

KernelLink::KernelLink(const InterfaceContext& context, const Link& link, std::string driver)
    : context_(context), link_(link), driver_(std::move(driver)) {
  // Believed only from the kernel's own message about the link being up.
  link_.carrier = false;
}

std::string KernelLink::label() const {
  return driver_.empty() ? link_.name : concat(link_.name, " (", driver_, ')');
}

void KernelLink::set_mac(const MacAddress& mac) {
  if (mac == link_.mac) return;
  if (auto set = context_.routes.set_mac(link_.index, mac); !set.ok()) {
    log_warning(concat(label(), ": its MAC address stays"), set.error());
  } else {
    link_.mac = mac;
  }
}

void KernelLink::set_mtu(uint32_t mtu, bool with_ipv6) {
  if (link_.mtu == mtu) return;
  if (mtu < kSmallestIpv6Mtu && with_ipv6) {
    log_warning(concat(label(), ": MTU ", mtu, " is less than IPv6 needs; 1280 is set"));
    mtu = kSmallestIpv6Mtu;
  }
  if (auto set = context_.routes.set_mtu(link_.index, mtu); !set.ok()) {
    log_warning(concat(label(), ": MTU ", link_.mtu, " stays"), set.error());
  } else {
    link_.mtu = mtu;
  }
}

void KernelLink::set_kernel(std::string_view family, std::string_view name,
                            std::string_view value) {
  std::string path = concat("proc/sys/net/", family, "/conf/", link_.name, '/', name);
  if (auto set = write_existing(context_.root, path, value); !set.ok()) {
    log_debug(concat(path, " unchanged: ", set.error().message()));
  }
}

void KernelLink::set_addresses(const std::vector<AddressConfig>& addresses) {
  for (const AddressConfig& config : addresses) {
    if (auto added = context_.routes.add_address(kernel_address(config, link_.index));
        !added.ok()) {
      note_trouble(
          concat("cannot take ", format_prefix(config.prefix), " (", added.error().message(), ')'));
    }
  }
}

void KernelLink::unset_addresses(const std::vector<AddressConfig>& addresses) {
  for (const AddressConfig& config : addresses) {
    // It may have gone by itself.
    [[maybe_unused]] Result<void> removed =
        context_.routes.remove_address(kernel_address(config, link_.index));
  }
}

void KernelLink::note_trouble(std::string trouble) {
  trouble_ = std::move(trouble);
  log_warning(concat(label(), ": ", trouble_));
}

void KernelLink::retry_later(Time time, std::string trouble) {
  trouble_ = std::move(trouble);
  retry_at_ = time + kRetry;
}

}  // namespace curlingiron
