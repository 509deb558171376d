// /etc/resolv.conf of /init, for whoever sits at the machine: its own lookups go by ResolverConfig.
#pragma once

#include <span>
#include <string>

#include "net/dns/resolver.h"
#include "sys/fd.h"

namespace curlingiron {

// resolv.conf(5) of all servers, those of the first first, each once.
std::string format_resolver_file(std::span<const ResolverConfig> resolvers);

class ResolverFile {
 public:
  // Written only where it differs from what was written last. `root` holds etc/, or takes it.
  void write(const UniqueFd& root, std::string text);

 private:
  std::string written_;
};

}  // namespace curlingiron
