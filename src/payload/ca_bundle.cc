#include "payload/ca_bundle.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "base/units.h"
#include "formats/base64.h"
#include "formats/pem.h"
#include "io/openssl_owned.h"

namespace curlingiron {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
// Few line ends compress best; OpenSSL reads lines of up to 254 characters.
constexpr size_t kLine = 240;

// Without a subjectAltName, a server's own certificate names it by its common name. No host's name
// holds a blank, and nearly every authority's does.
bool could_name_a_host(const X509* certificate) {
  const X509_NAME* subject = ::X509_get_subject_name(certificate);
  int at = -1;
  while ((at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
    const ASN1_STRING* name = ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at));
    std::string_view text(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name)),
                          static_cast<size_t>(::ASN1_STRING_length(name)));
    if (text.find(' ') == std::string_view::npos) return true;
  }
  return false;
}

void blank_root_signature(ByteVector& der) {
  const unsigned char* at = der.data();
  OpenSslOwned<X509, X509_free> certificate(
      ::d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate == nullptr || at != der.data() + der.size()) return;
  uint32_t flags = ::X509_get_extension_flags(certificate.get());
  constexpr uint32_t kRoot = EXFLAG_SI | EXFLAG_CA | EXFLAG_KUSAGE;
  bool is_root = (flags & kRoot) == kRoot && (flags & EXFLAG_INVALID) == 0 &&
                 (::X509_get_key_usage(certificate.get()) & X509v3_KU_KEY_CERT_SIGN) != 0;
  if (!is_root || ::X509_get_ext_by_NID(certificate.get(), NID_subject_alt_name, -1) >= 0) return;
  if (could_name_a_host(certificate.get())) return;
  const ASN1_BIT_STRING* signature = nullptr;
  ::X509_get0_signature(&signature, nullptr, certificate.get());
  // It is the last part of the certificate (RFC 5280, 4.1).
  ConstBytes bytes(::ASN1_STRING_get0_data(signature),
                   static_cast<size_t>(::ASN1_STRING_length(signature)));
  if (bytes.size() > der.size()) return;
  auto end = der.end() - static_cast<ptrdiff_t>(bytes.size());
  if (std::equal(bytes.begin(), bytes.end(), end)) std::fill(end, der.end(), uint8_t{0});
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
  PemBlocks blocks = read_pem(as_text(pem), "CERTIFICATE");
  if (blocks.damaged != 0) {
    return Error(concat("holds ",
                        plural(blocks.damaged, "certificate that is", "certificates that are"),
                        " cut or damaged; get the file again"));
  }
  ByteWriter out;
  std::set<ByteVector> seen;
  for (ByteVector& der : blocks.contents) {
    if (!seen.insert(der).second) continue;
    blank_root_signature(der);
    put_certificate(out, der);
  }
  if (seen.empty()) {
    return Error(
        "no certificate in it, of those in PEM (\"-----BEGIN CERTIFICATE-----\"); \"openssl x509 "
        "-in FILE\" makes that of most other forms");
  }
  return std::move(out).bytes();
}

}  // namespace curlingiron
