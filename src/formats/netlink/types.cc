#include "formats/netlink/types.h"

#include <linux/if_addr.h>

namespace curlingiron {
namespace {

constexpr RouteMetric kMetrics[] = {
    {"mtu", 2, &RouteMetrics::mtu},
    {"window", 3, &RouteMetrics::window},
    {"advmss", 8, &RouteMetrics::advmss},
    {"hoplimit", 10, &RouteMetrics::hop_limit},
    {"initcwnd", 11, &RouteMetrics::initcwnd},
    {"rto_min", 13, &RouteMetrics::rto_min},
    {"initrwnd", 14, &RouteMetrics::initrwnd},
    {"quickack", 15, &RouteMetrics::quickack},
};

}  // namespace

std::span<const RouteMetric> route_metrics() { return kMetrics; }

bool is_dead_end(RouteType type) {
  return type == RouteType::Blackhole || type == RouteType::Unreachable ||
         type == RouteType::Prohibit || type == RouteType::Throw;
}

bool AssignedAddress::permanent() const { return !valid; }

bool AssignedAddress::tentative() const {
  return (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
}

bool AssignedAddress::duplicate() const { return (flags & IFA_F_DADFAILED) != 0; }

}  // namespace curlingiron
