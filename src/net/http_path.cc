#include "net/http_path.h"

namespace curlingiron {

bool same_way(const HttpPath& a, const HttpPath& b) {
  return a.interface == b.interface && a.family == b.family && a.max_segment == b.max_segment;
}

HttpPath system_path(const std::string& root) {
  HttpPath path;
  Result<UniqueFd> directory = open_root(root);
  if (directory.ok()) path.resolver = system_resolver(directory.value());
  return path;
}

}  // namespace curlingiron
