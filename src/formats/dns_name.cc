#include "formats/dns_name.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr uint8_t kKindMask = 0xc0;
constexpr uint8_t kPointer = 0xc0;
constexpr size_t kLongestHostName = 253;

bool is_plain(uint8_t byte) { return byte > ' ' && byte < 0x7f && byte != '.' && byte != '\\'; }

void append_label(ConstBytes label, std::string& name) {
  if (!name.empty()) name += '.';
  for (uint8_t byte : label) {
    if (is_plain(byte)) {
      name += static_cast<char>(byte);
      continue;
    }
    name += '\\';
    for (int divisor : {100, 10, 1}) name += static_cast<char>('0' + byte / divisor % 10);
  }
}

// "\DDD", or '\' before a character that stands for itself; `text` begins after the backslash.
Result<uint8_t> take_escape(std::string_view& text) {
  if (text.empty()) return Error("a lone backslash");
  if (!is_digit(text[0])) {
    auto byte = static_cast<uint8_t>(text[0]);
    text.remove_prefix(1);
    return byte;
  }
  if (text.size() < 3 || !is_digit(text[1]) || !is_digit(text[2])) return Error("a wrong escape");
  int value = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  if (value > 0xff) return Error("a wrong escape");
  text.remove_prefix(3);
  return static_cast<uint8_t>(value);
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

}  // namespace

Result<DnsNameAt> parse_dns_name(ConstBytes message, size_t offset, DnsCompression compression) {
  DnsNameAt result;
  size_t wire_size = 0;
  size_t run = offset;  // where the labels being read begin; only smaller values follow
  size_t at = offset;
  bool jumped = false;
  for (;;) {
    if (at > message.size()) return Error("a name outside its message");
    ByteReader in(message.subspan(at));
    uint8_t length = TRY_CONTEXT("a name", in.u8());
    if ((length & kKindMask) == kPointer) {
      if (compression == DnsCompression::Refused) return Error("a compressed name");
      uint8_t low = TRY_CONTEXT("a name", in.u8());
      size_t target = (size_t{length} & 0x3f) << 8 | low;
      if (target >= run) return Error("a name that points forwards");
      if (!jumped) result.end = at + in.position();
      jumped = true;
      run = at = target;
      continue;
    }
    if ((length & kKindMask) != 0) return Error("a label of unknown kind");
    ConstBytes label = TRY_CONTEXT("a name", in.take(length));
    wire_size += in.position();
    if (wire_size > kLongestDnsName) return Error("a name longer than 255 bytes");
    at += in.position();
    if (length == 0) break;
    append_label(label, result.name);
  }
  if (!jumped) result.end = at;
  if (result.name.empty()) result.name = ".";
  return result;
}

Result<std::string> read_dns_name(ByteReader& in, ConstBytes message) {
  DnsNameAt parsed = TRY(parse_dns_name(message, in.position()));
  TRY(in.skip(parsed.end - in.position()));
  return std::move(parsed.name);
}

Result<ByteVector> format_dns_name(std::string_view name) {
  auto wrong = [&](std::string_view why) {
    return Error(concat("'", printable(name, 80), "' is no domain name: ", why));
  };
  if (name.empty()) return wrong("it is empty");
  ByteWriter out;
  std::string_view rest = name == "." ? std::string_view() : name;
  while (!rest.empty()) {
    ByteVector label;
    while (!rest.empty() && rest[0] != '.') {
      auto byte = static_cast<uint8_t>(rest[0]);
      rest.remove_prefix(1);
      if (byte == '\\') {
        Result<uint8_t> escaped = take_escape(rest);
        if (!escaped.ok()) return wrong(escaped.error().message());
        byte = escaped.value();
      }
      label.push_back(byte);
    }
    if (!rest.empty()) rest.remove_prefix(1);
    if (label.empty()) return wrong("a label is empty");
    if (label.size() > kLongestDnsLabel) return wrong("a label is longer than 63 bytes");
    out.u8(static_cast<uint8_t>(label.size()));
    out.append(ConstBytes(label));
    if (out.size() >= kLongestDnsName) return wrong("it is longer than 255 bytes");
  }
  out.u8(0);
  return std::move(out).bytes();
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestHostName) return false;
  for (std::string_view label : split(text, '.')) {
    if (label.empty() || label.size() > kLongestDnsLabel || label[0] == '-') return false;
    if (!std::all_of(label.begin(), label.end(), is_host_character)) return false;
  }
  return true;
}

Result<std::vector<std::string>> parse_domain_list(ConstBytes list, DnsCompression compression) {
  std::vector<std::string> domains;
  size_t offset = 0;
  while (offset < list.size() && domains.size() < kMostSearchDomains) {
    DnsNameAt at = TRY(parse_dns_name(list, offset, compression));
    offset = at.end;
    bool known = std::any_of(domains.begin(), domains.end(), [&](const std::string& domain) {
      return equal_ignoring_case(domain, at.name);
    });
    if (!known && is_host_name(at.name)) domains.push_back(std::move(at.name));
  }
  return domains;
}

}  // namespace curlingiron
