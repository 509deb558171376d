#include "formats/resolv_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> servers(std::string_view text) {
  std::vector<std::string> list;
  for (const ResolvConf::Server& server : parse_resolv_conf(text).servers) {
    list.push_back(concat(format_ip(server.address), '%', server.zone));
  }
  return list;
}

TEST(ResolvConf, ServersInOrderEachOnce) {
  EXPECT_THAT(servers("# x\n;nameserver 9.9.9.9\n  nameserver\t10.0.2.3  # why\n"
                      "nameserver fe80::1%eth0\nnameserver 10.0.2.3\nnameserver dns.example\n"
                      "nameserver\nnameserver fe80::1%\nnameserver fe80::1%a/b\r\nnameserver ::1"),
              ElementsAre("10.0.2.3%", "fe80::1%eth0", "::1%"));
}

TEST(ResolvConf, ServersAreBounded) {
  std::string text;
  for (int i = 1; i < 100; ++i) text += concat("nameserver 10.0.0.", i, '\n');
  EXPECT_EQ(servers(text).size(), kMostNameServers);
}

TEST(ResolvConf, TheLastSearchOrDomainCounts) {
  EXPECT_THAT(parse_resolv_conf("domain a.test\nsearch b.test. c -d e..f\n").search,
              ElementsAre("b.test", "c"));
  EXPECT_THAT(parse_resolv_conf("search b.test c\ndomain a.test x\n").search,
              ElementsAre("a.test"));
  EXPECT_THAT(parse_resolv_conf("search .\n").search, IsEmpty());
}

TEST(Hosts, NamesWithoutCase) {
  constexpr std::string_view kText =
      "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # box\n192.0.2.4 BOX box.lan\n"
      "2001:db8::4 x Box\nbad box\n192.0.2.5\n";
  EXPECT_THAT(addresses_in_hosts(kText, "box"),
              ElementsAre(parse_ip("192.0.2.4").value(), parse_ip("2001:db8::4").value()));
  EXPECT_THAT(addresses_in_hosts(kText, "lan"), IsEmpty());
  EXPECT_THAT(addresses_in_hosts(kText, "192.0.2.4"), IsEmpty());
}

}  // namespace
}  // namespace curlingiron
