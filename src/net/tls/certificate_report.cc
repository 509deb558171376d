#include "net/tls/certificate_report.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "base/address.h"
#include "base/advice.h"
#include "base/bytes.h"
#include "base/calendar.h"
#include "base/text.h"
#include "formats/http_text.h"
#include "io/openssl_owned.h"

namespace curlingiron {
namespace {

constexpr size_t kMostNames = 5;  // in a message
constexpr size_t kLongestName = 100;

std::string printable_string(const ASN1_STRING* text) {
  unsigned char* utf8 = nullptr;
  int size = ::ASN1_STRING_to_UTF8(&utf8, text);
  if (size < 0) return "?";
  std::string shown =
      printable(std::string_view(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size)),
                kLongestName);
  OPENSSL_free(utf8);
  return shown;
}

std::optional<std::string> name_entry(const X509_NAME* name, int nid) {
  int at = ::X509_NAME_get_index_by_NID(name, nid, -1);
  if (at < 0) return std::nullopt;
  return printable_string(::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at)));
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ::ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return seconds_at(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday) + parts.tm_hour * 3600 +
         parts.tm_min * 60 + parts.tm_sec;
}

ConstBytes bytes_of(const ASN1_STRING* text) {
  return {::ASN1_STRING_get0_data(text), static_cast<size_t>(::ASN1_STRING_length(text))};
}

std::optional<std::string> host_name(const GENERAL_NAME* name) {
  int type = 0;
  const void* value = ::GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_DNS) {
    return printable(as_text(bytes_of(static_cast<const ASN1_STRING*>(value))), kLongestName);
  }
  if (type != GEN_IPADD) return std::nullopt;
  ConstBytes bytes = bytes_of(static_cast<const ASN1_STRING*>(value));
  Ipv6 six;
  if (bytes.size() == six.bytes.size()) {
    std::ranges::copy(bytes, six.bytes.begin());
    return format_ipv6(six);
  }
  Result<uint32_t> four = ByteReader(bytes).be32();
  return bytes.size() == 4 && four.ok() ? format_ipv4({four.value()}) : "?";
}

std::string weakness_of(const X509* certificate, int code) {
  switch (code) {
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: {
      const EVP_PKEY* key = ::X509_get0_pubkey(certificate);
      if (key == nullptr) return "its key cannot be read";
      return concat("its key of ", ::EVP_PKEY_get_bits(key), " bits is too short");
    }
    case X509_V_ERR_CA_MD_TOO_WEAK: {
      int digest = NID_undef;
      ::X509_get_signature_info(const_cast<X509*>(certificate), &digest, nullptr, nullptr, nullptr);
      const char* name = ::OBJ_nid2sn(digest);
      return concat("it is signed with ", name != nullptr ? name : "a digest",
                    ", which is not accepted");
    }
    default: return {};
  }
}

// How it is signed, where the library has no such algorithm: it then looks for no issuer.
std::optional<std::string> unknown_signature(const X509* certificate) {
  int key = NID_undef;
  int known =
      ::X509_get_signature_info(const_cast<X509*>(certificate), nullptr, &key, nullptr, nullptr);
  OpenSslOwned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> user(::EVP_PKEY_CTX_new_id(key, nullptr));
  ::ERR_clear_error();
  if (known == 1 && user != nullptr) return std::nullopt;
  const char* name = ::OBJ_nid2ln(::X509_get_signature_nid(certificate));
  return concat("it is signed with ", name != nullptr ? name : "an algorithm without a name",
                ", which is not accepted");
}

bool is_unknown_issuer(int code) {
  return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

std::string refusal(const CertificateFault& fault) {
  switch (fault.code) {
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK: return fault.weakness;
    case X509_V_ERR_INVALID_PURPOSE:
      return fault.is_server ? "it is not for servers" : "it may not vouch for servers";
    case X509_V_ERR_INVALID_CA: return "it is no CA, and has signed another";
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return "its key is not for signing certificates";
    // How OpenSSL ends a comparison of names that would take too long, and little else.
    case X509_V_ERR_UNSPECIFIED:
      return "its names and those that its CAs may vouch for are too many to compare, or cannot be "
             "read";
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return "it is too many CAs away from a trusted one";
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: return "there are too many CAs below it";
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION: return "a CA above it may not vouch for its name";
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
      return "it has a critical extension that is not known";
    case X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM:
      return fault.weakness.empty() ? "its key is of a kind that is not accepted" : fault.weakness;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return "its signature does not fit its CA";
    default: return ::X509_verify_cert_error_string(fault.code);
  }
}

}  // namespace

std::string display_name(const X509_NAME* name) {
  for (int nid : {NID_commonName, NID_organizationName, NID_organizationalUnitName}) {
    if (auto entry = name_entry(name, nid)) return *entry;
  }
  return "without a name";
}

std::vector<std::string> host_names(const X509* certificate, size_t most) {
  std::vector<std::string> names;
  OpenSslOwned<GENERAL_NAMES, GENERAL_NAMES_free> alternatives(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  int count = alternatives != nullptr ? sk_GENERAL_NAME_num(alternatives.get()) : 0;
  for (int i = 0; i < count && names.size() < most; ++i) {
    if (auto name = host_name(sk_GENERAL_NAME_value(alternatives.get(), i))) {
      names.push_back(std::move(*name));
    }
  }
  // The common name counts only where there is no other (X509_check_host(3)).
  const X509_NAME* subject = ::X509_get_subject_name(certificate);
  if (names.empty()) {
    if (auto common = name_entry(subject, NID_commonName)) names.push_back(std::move(*common));
  }
  return names;
}

CertificateFault fault_of(X509_STORE_CTX* verification) {
  CertificateFault fault;
  fault.code = ::X509_STORE_CTX_get_error(verification);
  const X509* own = ::X509_STORE_CTX_get0_cert(verification);
  const X509* at = ::X509_STORE_CTX_get_current_cert(verification);
  if (at == nullptr) at = own;
  if (at == nullptr) return fault;
  fault.is_server = at == own || ::X509_STORE_CTX_get_error_depth(verification) == 0;
  fault.subject = display_name(::X509_get_subject_name(at));
  fault.issuer = display_name(::X509_get_issuer_name(at));
  fault.weakness = weakness_of(at, fault.code);
  if (is_unknown_issuer(fault.code)) {
    if (std::optional<std::string> signature = unknown_signature(at)) {
      fault.code = X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM;
      fault.weakness = std::move(*signature);
    }
  }
  fault.not_before = seconds_of(::X509_get0_notBefore(at));
  fault.not_after = seconds_of(::X509_get0_notAfter(at));
  if (own != nullptr) fault.names = host_names(own, kMostNames);
  return fault;
}

std::string explain(const CertificateFault& fault, std::string_view host, int64_t wall_clock) {
  std::string whose =
      fault.is_server ? "certificate" : concat("certificate of the CA ", fault.subject);
  switch (fault.code) {
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      if (std::ranges::find(fault.names, host) != fault.names.end()) {
        return concat("certificate has ", host,
                      " as a name, but an address has to be one of its addresses; make one with "
                      "subjectAltName=IP:",
                      format_ip(parse_ip(host).value()), ", or pass ", as_typed("insecure"));
      }
      [[fallthrough]];
    case X509_V_ERR_HOSTNAME_MISMATCH:
      return concat("certificate is for ",
                    fault.names.empty() ? "no host" : join(fault.names, ", "), " and not for ",
                    host, "; use one of its names in the URL, or pass ", as_typed("insecure"));
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return concat(whose, " expired on ", format_date(fault.not_after),
                    "; set the clock, renew it, or pass ", as_typed("insecure"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return concat(whose, " is not valid before ", format_date(fault.not_before),
                    ", but this machine's clock says ", format_date_time(wall_clock),
                    "; set the clock (", as_typed("time=2026-11-22T12:00:00Z"), "), or pass ",
                    as_typed("insecure"));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return concat("certificate is self-signed (by ", fault.subject,
                    ") and not trusted; if it is the right one, pass it with ", as_typed("ca"),
                    ", or pass ", as_typed("insecure"));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return concat("unknown CA (issuer ", fault.issuer, "); pass its certificate with ",
                    as_typed("ca"), ", or pass ", as_typed("insecure"));
    case X509_V_ERR_INVALID_CA:
      return concat(whose, " is not accepted (", refusal(fault),
                    "); make one with basicConstraints=CA:TRUE, or pass ", as_typed("insecure"));
    default:
      return concat(whose, " is not accepted (", refusal(fault), "); renew it, or pass ",
                    as_typed("insecure"));
  }
}

std::optional<int64_t> valid_from(const CertificateFault& fault) {
  if (fault.code != X509_V_ERR_CERT_NOT_YET_VALID) return std::nullopt;
  return fault.not_before;
}

}  // namespace curlingiron
