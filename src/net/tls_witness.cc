#include "net/tls_witness.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

#include "base/address.h"
#include "base/bytes.h"
#include "base/text.h"
#include "formats/base64.h"
#include "formats/http_text.h"
#include "io/digest.h"

namespace curlingiron {
namespace {

constexpr size_t kMostNames = 5;  // in a message
constexpr size_t kLongestName = 80;

int verify_callback(X509_STORE_CTX* context, void* witness) {
  return static_cast<TlsWitness*>(witness)->verify(context);
}

// OpenSSL's callback for a client certificate has no pointer of its own.
int witness_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int client_certificate_callback(SSL* connection, X509** /*certificate*/, EVP_PKEY** /*key*/) {
  auto* witness =
      static_cast<TlsWitness*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), witness_index()));
  if (witness != nullptr) witness->note_certificate_request();
  return 0;  // none
}

// curl's form of a pin: SHA-256 of the SubjectPublicKeyInfo.
std::string pin_of(const X509* certificate) {
  unsigned char* der = nullptr;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  ByteVector digest = digest_of(DigestKind::Sha256, ConstBytes(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
  return concat("sha256//", to_base64(digest));
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return ::timegm(&parts);
}

std::string_view text_of(const ASN1_STRING* string) {
  return as_text(
      ConstBytes(ASN1_STRING_get0_data(string), static_cast<size_t>(ASN1_STRING_length(string))));
}

// The common name, else the organization: what people call it.
std::string name_of(const X509_NAME* name) {
  for (int kind : {NID_commonName, NID_organizationName}) {
    int index = X509_NAME_get_index_by_NID(name, kind, -1);
    if (index < 0) continue;
    const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
    return printable(text_of(value), kLongestName);
  }
  return "without a name";
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> list(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      [](GENERAL_NAMES* all) { GENERAL_NAMES_free(all); });
  int count = list == nullptr ? 0 : sk_GENERAL_NAME_num(list.get());
  for (int i = 0; i < count && names.size() < kMostNames; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list.get(), i);
    if (name->type == GEN_DNS) {
      names.push_back(printable(text_of(name->d.dNSName), kLongestName));
    } else if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
      ByteReader in(as_bytes(text_of(name->d.iPAddress)));
      if (Result<uint32_t> address = in.be32(); address.ok()) {
        names.push_back(format_ipv4(Ipv4{address.value()}));
      }
    }
  }
  if (names.empty()) names.push_back(name_of(X509_get_subject_name(certificate)));
  return names;
}

}  // namespace

void TlsWitness::attach(void* ssl_context) {
  auto* context = static_cast<SSL_CTX*>(ssl_context);
  SSL_CTX_set_cert_verify_callback(context, verify_callback, this);
  SSL_CTX_set_ex_data(context, witness_index(), this);
  SSL_CTX_set_client_cert_cb(context, client_certificate_callback);
}

int TlsWitness::verify(void* store_context) {
  auto* context = static_cast<X509_STORE_CTX*>(store_context);
  int accepted = X509_verify_cert(context);
  seen_ = true;
  if (const X509* own = X509_STORE_CTX_get0_cert(context); own != nullptr) {
    names_ = names_of(own);
    pin_ = pin_of(own);
  }
  if (accepted == 1) return accepted;
  error_ = X509_STORE_CTX_get_error(context);
  if (error_ == X509_V_OK) error_ = X509_V_ERR_UNSPECIFIED;
  depth_ = X509_STORE_CTX_get_error_depth(context);
  if (X509* faulty = X509_STORE_CTX_get_current_cert(context); faulty != nullptr) {
    subject_ = name_of(X509_get_subject_name(faulty));
    issuer_ = name_of(X509_get_issuer_name(faulty));
    not_before_ = seconds_of(X509_get0_notBefore(faulty));
    not_after_ = seconds_of(X509_get0_notAfter(faulty));
  }
  return accepted;
}

std::string TlsWitness::explain(const std::string& host, int64_t wall_clock) const {
  std::string whose = depth_ == 0 ? "certificate" : concat("certificate of the CA ", subject_);
  switch (error_) {
    case X509_V_OK:
      return concat("certificate is for ", join(names_, ", "), " and not for ", host,
                    "; use one of its names in the URL, or pass insecure");
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return concat(whose, " expired on ", format_date(not_after_),
                    "; set the clock, renew it, or pass insecure");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return concat(whose, " is not valid before ", format_date(not_before_),
                    ", but this machine's clock says ", format_date_time(wall_clock),
                    "; set the clock (time=), or pass insecure");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return concat("unknown CA (issuer ", issuer_,
                    "); pass its certificate with --ca FILE (ca=), or pass insecure");
    default:
      return concat(whose, " is not accepted (", X509_verify_cert_error_string(error_),
                    "); renew it, or pass insecure");
  }
}

}  // namespace curlingiron
