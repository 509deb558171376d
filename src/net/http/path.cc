#include "net/http/path.h"

namespace curlingiron {
namespace {

constexpr uint32_t kEthernetSegment = 1460;  // IPv4 in 1,500 bytes
// IPv6 in 1,500 bytes, for links that carry more than what is behind them; then IPv6 in 1,280.
constexpr uint16_t kSmallerSegments[] = {1440, 1220};

}  // namespace

bool same_way(const HttpPath& a, const HttpPath& b) {
  return a.interface == b.interface && a.family == b.family && a.max_segment == b.max_segment;
}

std::optional<uint16_t> smaller_segment(uint32_t announced) {
  if (announced == 0) announced = kEthernetSegment;
  if (announced > kEthernetSegment) return kSmallerSegments[0];
  if (announced > kSmallerSegments[1]) return kSmallerSegments[1];
  return std::nullopt;
}

HttpPath system_path(const std::string& root) {
  HttpPath path;
  Result<UniqueFd> directory = open_root(root);
  if (directory.ok()) path.resolver = system_resolver(directory.value());
  return path;
}

}  // namespace curlingiron
