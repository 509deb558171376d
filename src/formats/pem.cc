#include "formats/pem.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"
#include "formats/x509.h"

namespace curlingiron {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
// Few line ends compress best; OpenSSL reads lines of up to 254 characters.
constexpr size_t kLine = 240;

void blank_root_signature(ByteVector& der) {
  Result<Certificate> parsed = parse_x509(der);
  if (!parsed.ok()) return;
  const Certificate& certificate = parsed.value();
  bool signs = certificate.key_usage && certificate.signs_certificates();
  if (!certificate.self_issued() || !signs || !certificate.alternative_names.empty()) return;
  size_t size = certificate.signature_value.size();  // the last bytes
  std::fill(der.end() - static_cast<ptrdiff_t>(size), der.end(), uint8_t{0});
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
