#include "net/join/resolver_file.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(ResolverFile, HasEachServerOnceAndTheFirstSearchList) {
  ResolverConfig first, second;
  first.servers = {{parse_ip("10.0.2.3").value(), "eth0"}, {parse_ip("fe80::1").value(), "eth0"}};
  second.servers = {{parse_ip("10.0.2.3").value(), "eth1"}, {parse_ip("fe80::1").value(), "eth1"}};
  second.search = {"example.org", "example.net"};
  std::vector<ResolverConfig> both = {first, second};
  EXPECT_EQ(format_resolver_file(both),
            "nameserver 10.0.2.3\nnameserver fe80::1%eth0\nnameserver fe80::1%eth1\n"
            "search example.org example.net\noptions timeout:2 attempts:3\n");
  EXPECT_EQ(format_resolver_file({}), "options timeout:2 attempts:3\n");
}

}  // namespace
}  // namespace curlingiron
