#include "formats/dns.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

constexpr uint16_t kInternet = 1;
constexpr uint16_t kTypeCname = 5;
constexpr uint16_t kFlagResponse = 0x8000;
constexpr uint16_t kMaskOpcode = 0x7800;
constexpr uint16_t kFlagTruncated = 0x0200;
constexpr uint16_t kFlagRecursionDesired = 0x0100;
constexpr uint16_t kMaskCode = 0x000f;
constexpr size_t kLongestAliasChain = 16;

DnsCode code_of(uint16_t flags) {
  uint16_t code = flags & kMaskCode;
  return code <= static_cast<uint16_t>(DnsCode::Refused) ? static_cast<DnsCode>(code)
                                                         : DnsCode::Other;
}

struct Record {
  std::string owner;
  uint16_t type = 0;
  ConstBytes data;
  size_t data_offset = 0;
};

Result<Record> read_record(ByteReader& in, ConstBytes message) {
  Record record;
  record.owner = TRY(read_dns_name(in, message));
  record.type = TRY(in.be16());
  uint16_t record_class = TRY(in.be16());
  TRY(in.skip(4));  // how long it may be kept
  uint16_t size = TRY(in.be16());
  record.data_offset = in.position();
  record.data = TRY(in.take(size));
  if (record_class != kInternet) record.type = 0;
  return record;
}

// The records of the answer section; of a truncated message those that are whole.
Result<std::vector<Record>> read_records(ByteReader& in, ConstBytes message, size_t count,
                                         bool truncated) {
  std::vector<Record> records;
  for (size_t i = 0; i < count; ++i) {
    Result<Record> record = read_record(in, message);
    if (!record.ok() && truncated) break;
    records.push_back(TRY(std::move(record)));
  }
  return records;
}

// Where the aliases lead to. The order of records means nothing.
Result<std::string> follow_aliases(const std::vector<Record>& records, ConstBytes message,
                                   std::string name) {
  for (size_t i = 0; i < kLongestAliasChain; ++i) {
    auto alias = std::find_if(records.begin(), records.end(), [&](const Record& each) {
      return each.type == kTypeCname && equal_ignoring_case(each.owner, name);
    });
    if (alias == records.end()) return name;
    DnsNameAt target = TRY(parse_dns_name(message, alias->data_offset));
    if (target.end != alias->data_offset + alias->data.size()) return Error("a malformed CNAME");
    name = std::move(target.name);
  }
  return Error("aliases (CNAME) in a circle");
}

Result<IpAddress> address_of(const Record& record) {
  ByteReader in(record.data);
  if (record.type == static_cast<uint16_t>(DnsType::A)) {
    Ipv4 address{TRY(in.be32())};
    if (!in.at_end()) return Error("an IPv4 address of a wrong length");
    return IpAddress(address);
  }
  Ipv6 address;
  ConstBytes bytes = TRY(in.take(address.bytes.size()));
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  if (!in.at_end()) return Error("an IPv6 address of a wrong length");
  return IpAddress(address);
}

// Names are compared in the form that has no dot at the end.
std::string_view without_last_dot(std::string_view name) {
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  return name;
}

}  // namespace

DnsType dns_type_of(Family family) { return family == Family::V4 ? DnsType::A : DnsType::Aaaa; }

std::string_view describe(DnsCode code) {
  switch (code) {
    case DnsCode::NoError: return "answers";
    case DnsCode::FormatError: return "does not understand the question";
    case DnsCode::ServerFailure: return "fails";
    case DnsCode::NoSuchName: return "says there is no such name";
    case DnsCode::NotImplemented: return "does not answer such questions";
    case DnsCode::Refused: return "refuses to answer";
    case DnsCode::Other: return "answers with an unknown error";
  }
  __builtin_unreachable();
}

Result<ByteVector> format_dns_query(const DnsQuestion& question) {
  ByteVector name = TRY(format_dns_name(question.name));
  ByteWriter out;
  out.be16(question.id);
  out.be16(kFlagRecursionDesired);
  out.be16(1);  // question
  out.be16(0);
  out.be16(0);
  out.be16(0);
  out.append(ConstBytes(name));
  out.be16(static_cast<uint16_t>(question.type));
  out.be16(kInternet);
  return std::move(out).bytes();
}

Result<DnsAnswer> parse_dns_answer(ConstBytes message, const DnsQuestion& question) {
  ByteReader in(message);
  uint16_t id = TRY(in.be16());
  uint16_t flags = TRY(in.be16());
  uint16_t questions = TRY(in.be16());
  uint16_t answers = TRY(in.be16());
  TRY(in.skip(4));  // counts of authorities and more, which are not looked at
  if (id != question.id) return Error("the answer to another question (id)");
  if ((flags & kFlagResponse) == 0 || (flags & kMaskOpcode) != 0) return Error("no answer");
  DnsAnswer answer;
  answer.code = code_of(flags);
  answer.truncated = (flags & kFlagTruncated) != 0;
  bool failed = answer.code != DnsCode::NoError && answer.code != DnsCode::NoSuchName;
  if (questions == 0 && failed) return answer;
  if (questions != 1) return Error("an answer without the question");
  std::string name = TRY(read_dns_name(in, message));
  uint16_t type = TRY(in.be16());
  uint16_t question_class = TRY(in.be16());
  if (!equal_ignoring_case(name, without_last_dot(question.name)) ||
      type != static_cast<uint16_t>(question.type) || question_class != kInternet) {
    return Error("the answer to another question (name)");
  }
  if (answer.code != DnsCode::NoError) return answer;
  std::vector<Record> records = TRY(read_records(in, message, answers, answer.truncated));
  std::string final_name = TRY(follow_aliases(records, message, std::move(name)));
  for (const Record& record : records) {
    if (record.type != type || !equal_ignoring_case(record.owner, final_name)) continue;
    IpAddress address = TRY(address_of(record));
    bool known = std::ranges::find(answer.addresses, address) != answer.addresses.end();
    bool usable = !address.is_zero() && !address.v6().is_multicast();
    if (!known && usable && answer.addresses.size() < kMostDnsAddresses) {
      answer.addresses.push_back(address);
    }
  }
  return answer;
}

}  // namespace curlingiron
