// Answers of DNS servers, to the question that they repeat. What is found is what was asked for.
#include <cstdlib>

#include "formats/dns.h"
#include "formats/dns_name.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ConstBytes message(data, size);
  for (Family family : {Family::V4, Family::V6}) {
    DnsQuestion question{0, "example.test", dns_type_of(family)};
    (void)parse_dns_answer(message, question);
    if (size > 2) question.id = static_cast<uint16_t>(data[0] << 8 | data[1]);
    if (Result<DnsNameAt> asked = parse_dns_name(message, 12); asked.ok()) {
      question.name = asked.value().name;
    }
    Result<ByteVector> query = format_dns_query(question);
    if (!query.ok() || query.value().size() > kLongestDnsDatagram) std::abort();
    if (parse_dns_answer(query.value(), question).ok()) std::abort();  // a question is no answer
    Result<DnsAnswer> answer = parse_dns_answer(message, question);
    if (!answer.ok()) continue;
    if (answer.value().addresses.size() > kMostDnsAddresses) std::abort();
    for (const IpAddress& address : answer.value().addresses) {
      if (address.family() != family || address.is_zero()) std::abort();
    }
    ++question.id;
    if (parse_dns_answer(message, question).ok()) std::abort();
  }
  return 0;
}
