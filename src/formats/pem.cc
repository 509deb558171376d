#include "formats/pem.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
// OpenSSL reads lines of up to 254 characters; few line ends compress best.
constexpr size_t kLine = 240;

// DER (X.690): just enough to walk a certificate (RFC 5280, 4.1).
constexpr uint8_t kSequence = 0x30;
constexpr uint8_t kBitString = 0x03;
constexpr uint8_t kOctetString = 0x04;
constexpr uint8_t kBoolean = 0x01;
constexpr uint8_t kObjectIdentifier = 0x06;
constexpr uint8_t kVersion = 0xa0;
constexpr uint8_t kExtensions = 0xa3;
constexpr std::string_view kKeyUsage = "\x55\x1d\x0f";
constexpr std::string_view kSubjectAltName = "\x55\x1d\x11";
constexpr uint8_t kKeyCertSign = 0x04;  // bit 5, counted from the left

struct Element {
  uint8_t tag = 0;
  ConstBytes content;
};

Result<Element> read_element(ByteReader& in) {
  Element element;
  element.tag = TRY(in.u8());
  uint64_t length = TRY(in.u8());
  if (length >= 0x80) {
    uint64_t count = length & 0x7f;
    if (count == 0 || count > 4) return Error("a length that DER does not have");
    length = 0;
    for (uint64_t i = 0; i < count; ++i) length = length << 8 | TRY(in.u8());
  }
  element.content = TRY(in.take(static_cast<size_t>(length)));
  return element;
}

Result<ConstBytes> read_content(ByteReader& in, uint8_t tag) {
  Element element = TRY(read_element(in));
  if (element.tag != tag) return Error("not the DER element that a certificate has here");
  return element.content;
}

struct CertificateParts {
  ConstBytes signature;  // behind the bit string's count of unused bits
  bool self_issued = false;
  bool signs_certificates = false;
  bool names_hosts = false;
};

Result<void> read_extension(ConstBytes extension, CertificateParts& parts) {
  ByteReader in(extension);
  std::string_view id = as_text(TRY(read_content(in, kObjectIdentifier)));
  Element value = TRY(read_element(in));
  if (value.tag == kBoolean) value = TRY(read_element(in));  // "critical" stood first
  if (value.tag != kOctetString) return Error("an extension without a value");
  if (id == kSubjectAltName) parts.names_hosts = true;
  if (id != kKeyUsage) return {};
  ByteReader usage(value.content);
  ConstBytes bits = TRY(read_content(usage, kBitString));
  parts.signs_certificates = bits.size() >= 2 && (bits[1] & kKeyCertSign) != 0;
  return {};
}

Result<CertificateParts> parse_certificate(ConstBytes der) {
  CertificateParts parts;
  ByteReader file(der);
  ByteReader certificate(TRY(read_content(file, kSequence)));
  if (!file.at_end()) return Error("bytes behind the certificate");
  ByteReader signed_part(TRY(read_content(certificate, kSequence)));
  TRY(read_content(certificate, kSequence));  // algorithm
  ConstBytes signature = TRY(read_content(certificate, kBitString));
  if (signature.empty() || !certificate.at_end()) return Error("no signature at the end");
  parts.signature = signature.subspan(1);

  Element serial = TRY(read_element(signed_part));
  if (serial.tag == kVersion) TRY(read_element(signed_part));  // the version stood first
  TRY(read_content(signed_part, kSequence));                   // algorithm
  ConstBytes issuer = TRY(read_content(signed_part, kSequence));
  TRY(read_content(signed_part, kSequence));  // validity
  ConstBytes subject = TRY(read_content(signed_part, kSequence));
  TRY(read_content(signed_part, kSequence));  // key
  parts.self_issued = std::equal(issuer.begin(), issuer.end(), subject.begin(), subject.end());
  while (!signed_part.at_end()) {
    Element element = TRY(read_element(signed_part));
    if (element.tag != kExtensions) continue;
    ByteReader wrapper(element.content);
    ByteReader extensions(TRY(read_content(wrapper, kSequence)));
    while (!extensions.at_end()) {
      ConstBytes extension = TRY(read_content(extensions, kSequence));
      TRY(read_extension(extension, parts));
    }
  }
  return parts;
}

void blank_root_signature(ByteVector& der) {
  Result<CertificateParts> parsed = parse_certificate(der);
  if (!parsed.ok()) return;
  const CertificateParts& parts = parsed.value();
  if (!parts.self_issued || !parts.signs_certificates || parts.names_hosts) return;
  std::fill(der.end() - static_cast<ptrdiff_t>(parts.signature.size()), der.end(), uint8_t{0});
}

void put_certificate(ByteWriter& out, ConstBytes der) {
  std::string body = to_base64(der);
  out.append(kBegin);
  for (size_t at = 0; at < body.size(); at += kLine) {
    out.append("\n");
    out.append(std::string_view(body).substr(at, kLine));
  }
  out.append("\n");
  out.append(kEnd);
  out.append("\n");
}

}  // namespace

Result<ByteVector> compact_ca_bundle(ConstBytes pem) {
  if (pem.size() > 16_MiB) return Error("larger than any certificate bundle");
  std::string_view rest = as_text(pem);
  ByteWriter out;
  std::set<ByteVector> seen;
  for (;;) {
    size_t begin = rest.find(kBegin);
    if (begin == std::string_view::npos) break;
    rest.remove_prefix(begin + kBegin.size());
    size_t end = rest.find(kEnd);
    if (end == std::string_view::npos) return Error("a certificate without its END line");
    ByteVector der = TRY_CONTEXT(concat("certificate ", seen.size() + 1, " of the bundle"),
                                 from_base64(rest.substr(0, end)));
    rest.remove_prefix(end + kEnd.size());
    if (der.empty()) return Error("an empty certificate");
    if (!seen.insert(der).second) continue;
    blank_root_signature(der);
    put_certificate(out, der);
  }
  if (seen.empty()) {
    return Error(
        "no certificate in it (PEM: \"-----BEGIN CERTIFICATE-----\"); convert DER with "
        "`openssl x509 -inform der`");
  }
  return std::move(out).bytes();
}

}  // namespace curlingiron
