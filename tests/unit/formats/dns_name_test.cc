#include "formats/dns_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ByteVector wire(std::string_view text) { return {text.begin(), text.end()}; }

TEST(DnsName, RoundTrip) {
  for (std::string_view name :
       {"example.org", "a", "_dmarc.x-1.example", "a\\046b.c", "\\000\\255\\032.x"}) {
    Result<ByteVector> bytes = format_dns_name(name);
    ASSERT_TRUE(bytes.ok()) << name;
    Result<DnsNameAt> again = parse_dns_name(bytes.value(), 0);
    ASSERT_TRUE(again.ok()) << again.error().message();
    EXPECT_EQ(again.value().name, name);
    EXPECT_EQ(again.value().end, bytes.value().size());
  }
  EXPECT_EQ(format_dns_name("ab.c").value(), (ByteVector{2, 'a', 'b', 1, 'c', 0}));
  EXPECT_EQ(format_dns_name("ab.c.").value(), format_dns_name("ab.c").value());
  EXPECT_EQ(format_dns_name("a\\.b").value(), format_dns_name("a\\046b").value());
  EXPECT_EQ(format_dns_name(".").value(), (ByteVector{0}));
  EXPECT_EQ(parse_dns_name(ByteVector{0}, 0).value().name, ".");
}

TEST(DnsName, WrongTexts) {
  for (std::string_view name : {"", "..", ".a", "a..b", "a..", "a\\", "a\\1", "a\\12x", "a\\256"}) {
    EXPECT_FALSE(format_dns_name(name).ok()) << name;
  }
  std::string label(63, 'x');
  EXPECT_TRUE(format_dns_name(label).ok());
  EXPECT_FALSE(format_dns_name(label + "x").ok());
  std::string longest = concat(label, '.', label, '.', label, '.', label.substr(0, 61));
  EXPECT_EQ(format_dns_name(longest).value().size(), 255U);
  EXPECT_EQ(parse_dns_name(format_dns_name(longest).value(), 0).value().name, longest);
  EXPECT_FALSE(format_dns_name(longest + "x").ok());
}

TEST(DnsName, Compression) {
  ByteVector message = wire(std::string_view("\1a\3org\0\1b\xc0\2\xc0\7!", 14));
  EXPECT_EQ(parse_dns_name(message, 0).value().name, "a.org");
  DnsNameAt second = parse_dns_name(message, 7).value();
  EXPECT_EQ(second.name, "b.org");
  EXPECT_EQ(second.end, 11U);
  ByteReader in(message);
  ASSERT_TRUE(in.skip(11).ok());
  EXPECT_EQ(read_dns_name(in, message).value(), "b.org");
  EXPECT_EQ(in.position(), 13U);
  EXPECT_FALSE(parse_dns_name(message, 7, DnsCompression::Refused).ok());
  EXPECT_TRUE(parse_dns_name(message, 0, DnsCompression::Refused).ok());
}

TEST(DnsName, LoopsForwardsAndTruncation) {
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\xc0\0", 2)), 0).ok());
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\1a\xc0\0", 4)), 0).ok());
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\xc0\2\xc0\0", 4)), 0).ok());
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\xc0\2\0", 3)), 0).ok());
  EXPECT_FALSE(parse_dns_name(wire("\x41x"), 0).ok());
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\0", 1)), 1).ok());
  EXPECT_FALSE(parse_dns_name(wire(std::string_view("\0", 1)), 99).ok());
  ByteVector whole = format_dns_name("www.example.org").value();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_dns_name(ConstBytes(whole).first(size), 0).ok()) << size;
  }
  // A staircase of labels and pointers: longer than a name may be.
  ByteVector stairs = {0};
  size_t last = 0;
  for (int i = 0; i < 100; ++i) {
    size_t here = stairs.size();
    for (char c : {'\3', 'x', 'y', 'z'}) stairs.push_back(static_cast<uint8_t>(c));
    stairs.push_back(static_cast<uint8_t>(0xc0 | last >> 8));
    stairs.push_back(static_cast<uint8_t>(last & 0xff));
    last = here;
  }
  Result<DnsNameAt> climbed = parse_dns_name(stairs, last);
  ASSERT_FALSE(climbed.ok());
  EXPECT_THAT(climbed.error().message(), HasSubstr("255"));
}

TEST(DnsName, HostNames) {
  for (std::string_view name : {"a", "example.org", "_tcp.x", "1.2", "xn--bcher-kva.example"}) {
    EXPECT_TRUE(is_host_name(name)) << name;
  }
  for (std::string_view name :
       {"", ".", "a.", ".a", "a b", "a\n", "-a", "a.-b", "\\000", "b\xc3\xbc"}) {
    EXPECT_FALSE(is_host_name(name)) << name;
  }
  EXPECT_FALSE(is_host_name(std::string(64, 'a')));
}

TEST(DnsName, Lists) {
  ByteVector list = wire(std::string_view("\1a\3org\0\1b\xc0\2\1A\xc0\2\2x\n\0\0\0", 21));
  EXPECT_THAT(parse_domain_list(list, DnsCompression::Allowed).value(),
              ElementsAre("a.org", "b.org"));
  EXPECT_FALSE(parse_domain_list(list, DnsCompression::Refused).ok());
  EXPECT_THAT(parse_domain_list({}, DnsCompression::Refused).value(), IsEmpty());
  EXPECT_FALSE(parse_domain_list(wire("\1a"), DnsCompression::Refused).ok());
  ByteVector many;
  for (int i = 0; i < 100; ++i) {
    ByteVector name = format_dns_name(concat('n', i)).value();
    many.insert(many.end(), name.begin(), name.end());
  }
  EXPECT_EQ(parse_domain_list(many, DnsCompression::Refused).value().size(), kMostSearchDomains);
}

}  // namespace
}  // namespace curlingiron
