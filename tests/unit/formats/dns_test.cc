#include "formats/dns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint16_t kId = 0x1234;
constexpr uint16_t kAnswer = 0x8180;
constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeAaaa = 28;
constexpr uint16_t kTypeCname = 5;

struct Record {
  std::string owner;
  uint16_t type = kTypeA;
  ByteVector data;
  uint16_t record_class = 1;
};

ByteVector message(std::string_view name, uint16_t type, uint16_t flags,
                   const std::vector<Record>& records) {
  ByteWriter out;
  out.be16(kId);
  out.be16(flags);
  out.be16(1);
  out.be16(static_cast<uint16_t>(records.size()));
  out.be32(0);
  out.append(ConstBytes(format_dns_name(name).value()));
  out.be16(type);
  out.be16(1);
  for (const Record& record : records) {
    out.append(ConstBytes(format_dns_name(record.owner).value()));
    out.be16(record.type);
    out.be16(record.record_class);
    out.be32(60);
    out.be16(static_cast<uint16_t>(record.data.size()));
    out.append(ConstBytes(record.data));
  }
  return std::move(out).bytes();
}

ByteVector name(std::string_view text) { return format_dns_name(text).value(); }

std::vector<std::string> texts(const DnsAnswer& answer) {
  std::vector<std::string> list;
  for (const IpAddress& address : answer.addresses) list.push_back(format_ip(address));
  return list;
}

const DnsQuestion kQuestion{kId, "www.example.test", DnsType::A};

Result<DnsAnswer> parse(ConstBytes bytes, const DnsQuestion& question = kQuestion) {
  return parse_dns_answer(bytes, question);
}

TEST(Dns, AQueryAsksOneThing) {
  ByteVector query = format_dns_query({kId, "a.test", DnsType::Aaaa}).value();
  EXPECT_EQ(to_hex(query),
            "123401000001000000000000"
            "0161047465737400"
            "001c0001");
  EXPECT_FALSE(format_dns_query({kId, "a..test", DnsType::A}).ok());
}

TEST(Dns, AddressesOfTheNameAndNoOthers) {
  Result<DnsAnswer> answer = parse(message("WWW.example.TEST", kTypeA, kAnswer,
                                           {{"www.EXAMPLE.test", kTypeA, {192, 0, 2, 1}},
                                            {"other.test", kTypeA, {192, 0, 2, 2}},
                                            {"www.example.test", kTypeA, {192, 0, 2, 3}, 3},
                                            {"www.example.test", kTypeA, {0, 0, 0, 0}},
                                            {"www.example.test", kTypeA, {192, 0, 2, 1}},
                                            {"www.example.test", 16, {1, 'x'}},
                                            {"www.example.test", kTypeA, {192, 0, 2, 4}}}));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_THAT(texts(answer.value()), ElementsAre("192.0.2.1", "192.0.2.4"));
  EXPECT_EQ(answer.value().code, DnsCode::NoError);
  EXPECT_FALSE(answer.value().truncated);
}

TEST(Dns, AliasesInAnyOrder) {
  ByteVector six(16, 0);
  six[0] = 0x20, six[15] = 1;
  Result<DnsAnswer> answer = parse(message("www.example.test", kTypeAaaa, kAnswer,
                                           {{"e.cdn.test", kTypeAaaa, six},
                                            {"cdn.test", kTypeCname, name("e.CDN.test")},
                                            {"www.example.test", kTypeCname, name("cdn.test")}}),
                                   {kId, "www.example.test", DnsType::Aaaa});
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_THAT(texts(answer.value()), ElementsAre("2000::1"));
}

TEST(Dns, AliasesInACircleEnd) {
  EXPECT_THAT(parse(message("www.example.test", kTypeA, kAnswer,
                            {{"www.example.test", kTypeCname, name("b.test")},
                             {"b.test", kTypeCname, name("www.example.test")}}))
                  .error()
                  .message(),
              HasSubstr("in a circle"));
}

TEST(Dns, WhatServersSayInsteadOfAddresses) {
  EXPECT_EQ(parse(message("www.example.test", kTypeA, 0x8183, {})).value().code,
            DnsCode::NoSuchName);
  EXPECT_EQ(parse(message("www.example.test", kTypeA, 0x8182, {})).value().code,
            DnsCode::ServerFailure);
  EXPECT_EQ(parse(message("www.example.test", kTypeA, 0x8189, {})).value().code, DnsCode::Other);
  EXPECT_THAT(parse(message("www.example.test", kTypeA, kAnswer, {})).value().addresses, IsEmpty());
  // Without the question only a failure is believed.
  ByteVector bare = {0x12, 0x34, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(parse(bare).value().code, DnsCode::Refused);
  bare[3] = 0x83;
  EXPECT_FALSE(parse(bare).ok());
}

TEST(Dns, AnswersToOtherQuestionsAreNone) {
  ByteVector good = message("www.example.test", kTypeA, kAnswer, {});
  EXPECT_TRUE(parse(good).ok());
  EXPECT_FALSE(parse(good, {kId + 1, "www.example.test", DnsType::A}).ok());
  EXPECT_FALSE(parse(good, {kId, "www.example.tesu", DnsType::A}).ok());
  EXPECT_FALSE(parse(good, {kId, "www.example.test", DnsType::Aaaa}).ok());
  EXPECT_TRUE(parse(good, {kId, "www.example.test.", DnsType::A}).ok());
  EXPECT_FALSE(parse(message("www.example.test", kTypeA, 0x0100, {})).ok());
  EXPECT_FALSE(parse(message("www.example.test", kTypeA, 0x8980, {})).ok());
}

TEST(Dns, EveryCutIsAnErrorUnlessItIsTold) {
  std::vector<Record> records = {{"www.example.test", kTypeA, {192, 0, 2, 1}},
                                 {"www.example.test", kTypeA, {192, 0, 2, 2}}};
  ByteVector whole = message("www.example.test", kTypeA, kAnswer, records);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse(ConstBytes(whole).first(size)).ok()) << size;
  }
  ByteVector told = message("www.example.test", kTypeA, kAnswer | 0x0200, records);
  Result<DnsAnswer> answer = parse(ConstBytes(told).first(told.size() - 1));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_TRUE(answer.value().truncated);
  EXPECT_THAT(texts(answer.value()), ElementsAre("192.0.2.1"));
}

TEST(Dns, AddressesOfAWrongLengthAreErrors) {
  EXPECT_FALSE(
      parse(message("www.example.test", kTypeA, kAnswer, {{"www.example.test", kTypeA, {1, 2, 3}}}))
          .ok());
  EXPECT_FALSE(parse(message("www.example.test", kTypeA, kAnswer,
                             {{"www.example.test", kTypeA, {1, 2, 3, 4, 5}}}))
                   .ok());
}

TEST(Dns, ManyAddressesAreBounded) {
  std::vector<Record> records;
  for (uint8_t i = 1; i < 100; ++i) records.push_back({"www.example.test", kTypeA, {10, 0, 0, i}});
  EXPECT_EQ(parse(message("www.example.test", kTypeA, kAnswer, records)).value().addresses.size(),
            kMostDnsAddresses);
}

}  // namespace
}  // namespace curlingiron
