// resolv.conf and hosts files. What was understood, written again, means the same.
#include <cstdlib>

#include "base/text.h"
#include "formats/dns.h"
#include "formats/dns_name.h"
#include "formats/resolv_conf.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = as_text(ConstBytes(data, size));
  if (addresses_in_hosts(text, "host").size() > kMostDnsAddresses) std::abort();
  ResolvConf conf = parse_resolv_conf(text);
  if (conf.servers.size() > kMostNameServers || conf.search.size() > kMostSearchDomains) {
    std::abort();
  }
  std::string again;
  for (const ResolvConf::Server& server : conf.servers) {
    again += concat("nameserver ", format_ip(server.address), server.zone.empty() ? "" : "%",
                    server.zone, '\n');
  }
  if (!conf.search.empty()) again += concat("search ", join(conf.search, " "), '\n');
  ResolvConf second = parse_resolv_conf(again);
  if (second.servers != conf.servers || second.search != conf.search) std::abort();
  return 0;
}
