#include "net/tls/policy.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/text.h"
#include "io/digest.h"
#include "io/openssl_owned.h"

namespace curlingiron {
namespace {

constexpr int kSecurityLevel = 2;
constexpr int kSecurityBits = 112;  // of that level
// Authorities between the server and the trusted one. Longer paths are not in use, and each may
// cost a million comparisons of names.
constexpr int kLongestPath = 12;
// Certificates that a path failed at, and that others are tried in place of.
constexpr size_t kMostLeftOut = 8;
// A handshake takes 15 of a server's; after it come a few, of new sessions and new keys.
constexpr unsigned kMostMessages = 100;
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
// The shorter key first: it is as good against what there is, and a fifth faster.
constexpr const char* kSuites13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";
constexpr const char* kSignatures =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";
// Of an authority's key: what no server may use, none may vouch with.
constexpr std::array<std::string_view, 3> kCurves = {"prime256v1", "secp384r1", "secp521r1"};

TlsVerdict* verdict_of(const SSL* connection) {
  const SSL_CTX* context = ::SSL_get_SSL_CTX(connection);
  auto* verdict = static_cast<TlsVerdict*>(SSL_CTX_get_app_data(context));
  return verdict != nullptr && verdict->concerns(context) ? verdict : nullptr;
}

int verify_callback(X509_STORE_CTX* verification, void* verdict) {
  return static_cast<TlsVerdict*>(verdict)->judge(verification) ? 1 : 0;
}

int client_certificate_callback(SSL* connection, X509** /*certificate*/, EVP_PKEY** /*key*/) {
  if (TlsVerdict* verdict = verdict_of(connection)) verdict->note_certificate_request();
  return 0;  // none
}

void info_callback(const SSL* connection, int where, int value) {
  TlsVerdict* verdict = verdict_of(connection);
  if (verdict == nullptr) return;
  if (where == SSL_CB_READ_ALERT) verdict->note_alert(value, ::SSL_version(connection));
  if (where == SSL_CB_CONNECT_EXIT && value <= 0) verdict->note_failure();
}

// Whatever is read from the connection from here on fails.
long refuse_to_read(BIO* bio, int operation, const char* /*data*/, size_t /*size*/, int /*number*/,
                    long /*value*/, int result, size_t* /*done*/) {
  if ((operation & ~BIO_CB_RETURN) != BIO_CB_READ) return result;
  BIO_clear_retry_flags(bio);
  return -1;
}

// SSL_CTX_set_msg_callback(3).
void message_callback(int is_sent, int /*version*/, int content, const void* /*bytes*/,
                      size_t /*size*/, SSL* connection, void* /*data*/) {
  if (is_sent != 0 || content != SSL3_RT_HANDSHAKE) return;
  TlsVerdict* verdict = verdict_of(connection);
  if (verdict != nullptr && !verdict->note_message()) {
    ::BIO_set_callback_ex(::SSL_get_rbio(connection), refuse_to_read);
  }
}

// Of the key that the handshake goes on with: what is hashed is the certificate's form of it, and
// has to be read as that very key again.
std::optional<KeyPin> key_of(X509* certificate) {
  unsigned char* der = nullptr;
  int size = ::i2d_X509_PUBKEY(::X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return std::nullopt;
  ByteVector form(der, der + size);
  OPENSSL_free(der);
  const unsigned char* at = form.data();
  OpenSslOwned<EVP_PKEY, EVP_PKEY_free> read(::d2i_PUBKEY(nullptr, &at, size));
  const EVP_PKEY* used = ::X509_get0_pubkey(certificate);
  if (read == nullptr || used == nullptr || ::EVP_PKEY_eq(read.get(), used) != 1)
    return std::nullopt;
  return key_pin(digest_of(DigestKind::Sha256, form)).value();
}

// The host of a URL, as certificates have it.
bool expect_host(X509_VERIFY_PARAM* wanted, std::string host) {
  Result<IpAddress> address = parse_ip(host);
  if (address.ok()) {
    return ::X509_VERIFY_PARAM_set1_ip_asc(wanted, format_ip(address.value()).c_str()) == 1;
  }
  // The root's dot belongs to DNS alone.
  if (host.ends_with('.')) host.pop_back();
  return !host.empty() && ::X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1;
}

bool has_allowed_curve(const EVP_PKEY* key) {
  if (key == nullptr || ::EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return key != nullptr;
  std::array<char, 32> name{};
  size_t size = 0;
  return ::EVP_PKEY_get_group_name(key, name.data(), name.size(), &size) == 1 &&
         std::ranges::find(kCurves, std::string_view(name.data(), size)) != kCurves.end();
}

// A certificate for this host and nothing else, as NAME_CONSTRAINTS_check(3) wants what it
// compares.
OpenSslOwned<X509, X509_free> certificate_for(const std::string& host) {
  OpenSslOwned<X509, X509_free> certificate(::X509_new());
  Result<IpAddress> address = parse_ip(host);
  std::string text = address.ok() ? format_ip(address.value()) : host;
  if (text.ends_with('.')) text.pop_back();
  OpenSslOwned<GENERAL_NAME, GENERAL_NAME_free> name(::a2i_GENERAL_NAME(
      nullptr, nullptr, nullptr, address.ok() ? GEN_IPADD : GEN_DNS, text.c_str(), 0));
  OpenSslOwned<GENERAL_NAMES, GENERAL_NAMES_free> names(sk_GENERAL_NAME_new_null());
  if (certificate == nullptr || name == nullptr || names == nullptr) return nullptr;
  if (sk_GENERAL_NAME_push(names.get(), name.get()) == 0) return nullptr;
  (void)name.release();
  bool good = ::X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, names.get(), 0,
                                  X509V3_ADD_DEFAULT) == 1;
  if (!good) return nullptr;
  (void)::X509_check_purpose(certificate.get(), -1, 0);  // reads the extension
  return certificate;
}

// The certificate above the server's own that a path failed at, where another one may be in its
// place: null where it failed at something else. Costs no comparison of names, which come last.
X509* obstacle_of(X509_STORE_CTX* failed) {
  int depth = ::X509_STORE_CTX_get_error_depth(failed);
  switch (::X509_STORE_CTX_get_error(failed)) {
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: ++depth; break;  // by the one above it
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: break;
    default: return nullptr;
  }
  const STACK_OF(X509)* path = ::X509_STORE_CTX_get0_chain(failed);
  return depth > 0 && depth < sk_X509_num(path) ? sk_X509_value(path, depth) : nullptr;
}

struct FreeStack {
  void operator()(STACK_OF(X509) * borrowed) const { sk_X509_free(borrowed); }
};
using BorrowedStack = std::unique_ptr<STACK_OF(X509), FreeStack>;

// Null: out of memory.
BorrowedStack without(const STACK_OF(X509) * all,
                      std::span<const OpenSslOwned<X509, X509_free>> left_out) {
  BorrowedStack rest(sk_X509_new_null());
  for (int i = 0; rest != nullptr && i < sk_X509_num(all); ++i) {
    X509* each = sk_X509_value(all, i);
    if (is_among(each, left_out)) continue;
    if (sk_X509_push(rest.get(), each) == 0) rest.reset();
  }
  return rest;
}

// X509_V_OK where this authority may vouch for the host, which has a certificate of its own here.
int vouches_for(const X509* authority, X509* host) {
  int critical = 0;
  OpenSslOwned<NAME_CONSTRAINTS, NAME_CONSTRAINTS_free> constraints(static_cast<NAME_CONSTRAINTS*>(
      ::X509_get_ext_d2i(authority, NID_name_constraints, &critical, nullptr)));
  if (constraints != nullptr) return ::NAME_CONSTRAINTS_check(host, constraints.get());
  return critical == -1 ? X509_V_OK : X509_V_ERR_UNSPECIFIED;  // -1: it has none
}

}  // namespace

std::optional<TlsVerdict::Objection> TlsVerdict::objection_to(const STACK_OF(X509) * path,
                                                              const std::string& host) {
  int length = sk_X509_num(path);
  OpenSslOwned<X509, X509_free> asked_for;
  if (!host.empty() && length > 1) {
    asked_for = certificate_for(host);
    if (asked_for == nullptr) return Objection{X509_V_ERR_OUT_OF_MEM, 0};
  }
  for (int depth = 0; depth < length; ++depth) {
    X509* certificate = sk_X509_value(path, depth);
    if (!has_allowed_curve(::X509_get0_pubkey(certificate))) {
      return Objection{X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM, depth};
    }
    if (depth == 0) continue;
    // X509_check_ca(3): all but 1 do not say so themselves.
    if (::X509_check_ca(certificate) != 1) return Objection{X509_V_ERR_INVALID_CA, depth};
    int vouches = asked_for == nullptr ? X509_V_OK : vouches_for(certificate, asked_for.get());
    if (vouches != X509_V_OK) return Objection{vouches, 0};
  }
  return std::nullopt;
}

bool TlsVerdict::demand(X509_VERIFY_PARAM* wanted, const std::string& host, int64_t time) {
  ::X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  ::X509_VERIFY_PARAM_set_depth(wanted, kLongestPath);
  ::X509_VERIFY_PARAM_set_time(wanted, time);
  return ::X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER) == 1 &&
         (host.empty() || expect_host(wanted, host));
}

bool TlsVerdict::govern(SSL_CTX* context, TlsExpectation expectation) {
  *this = TlsVerdict();
  context_ = context;
  expectation_ = std::move(expectation);
  ::SSL_CTX_set_security_level(context, kSecurityLevel);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_app_data(context, this);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_cert_verify_callback(context, verify_callback, this);
  ::SSL_CTX_set_client_cert_cb(context, client_certificate_callback);
  ::SSL_CTX_set_info_callback(context, info_callback);
  // A server may ask for a certificate once it knows the path.
  ::SSL_CTX_set_post_handshake_auth(context, 1);
  ::SSL_CTX_set_msg_callback(context, message_callback);
  ::SSL_CTX_set_keylog_callback(context, nullptr);
  bool good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
              ::SSL_CTX_set_cipher_list(context, kSuites12) == 1 &&
              ::SSL_CTX_set_ciphersuites(context, kSuites13) == 1 &&
              SSL_CTX_set1_groups_list(context, kGroups) == 1 &&
              SSL_CTX_set1_sigalgs_list(context, kSignatures) == 1;
  if (!good || expectation_.trusted == nullptr) return good;
  SSL_CTX_set1_verify_cert_store(context, expectation_.trusted->get());
  return !expectation_.host.empty() &&
         demand(::SSL_CTX_get0_param(context), expectation_.host, expectation_.time);
}

bool TlsVerdict::is_good_path(X509_STORE_CTX* verification) const {
  if (::X509_verify_cert(verification) != 1) return false;
  const STACK_OF(X509)* path = ::X509_STORE_CTX_get0_chain(verification);
  std::optional<Objection> found = objection_to(path, expectation_.host);
  if (!found) return true;
  ::X509_STORE_CTX_set_error(verification, found->code);
  ::X509_STORE_CTX_set_error_depth(verification, found->depth);
  ::X509_STORE_CTX_set_current_cert(verification, sk_X509_value(path, found->depth));
  return false;
}

// The library takes the first certificate that fits by its name, and where that one is no good,
// ends. What was no good is left out, and it is asked again.
bool TlsVerdict::has_good_path(X509_STORE_CTX* verification) const {
  if (is_good_path(verification)) return true;
  std::vector<OpenSslOwned<X509, X509_free>> left_out;
  OpenSslOwned<X509_STORE, X509_STORE_free> trusted;
  BorrowedStack sent;
  OpenSslOwned<X509_STORE_CTX, X509_STORE_CTX_free> another;  // uses both
  for (X509_STORE_CTX* failed = verification; left_out.size() < kMostLeftOut;
       failed = another.get()) {
    X509* obstacle = obstacle_of(failed);
    if (obstacle == nullptr || ::X509_up_ref(obstacle) != 1) return false;
    left_out.emplace_back(obstacle);
    another.reset();
    trusted = expectation_.trusted->without(left_out);
    sent = without(::X509_STORE_CTX_get0_untrusted(verification), left_out);
    another.reset(::X509_STORE_CTX_new());
    bool ready = trusted != nullptr && sent != nullptr && another != nullptr &&
                 ::X509_STORE_CTX_init(another.get(), trusted.get(),
                                       ::X509_STORE_CTX_get0_cert(verification), sent.get()) == 1 &&
                 ::X509_VERIFY_PARAM_set1(::X509_STORE_CTX_get0_param(another.get()),
                                          ::X509_STORE_CTX_get0_param(verification)) == 1;
    if (!ready) return false;
    if (is_good_path(another.get())) return true;
  }
  return false;
}

TlsVerdict::Outcome TlsVerdict::decide(X509_STORE_CTX* verification) {
  if (expectation_.trusted != nullptr && !has_good_path(verification)) {
    fault_ = fault_of(verification);
    return Outcome::BadPath;
  }
  if (!expectation_.pin) return Outcome::Accepted;
  // The very object whose key the handshake goes on with.
  X509* own = ::X509_STORE_CTX_get0_cert(verification);
  key_ = key_of(own);
  if (key_ != expectation_.pin) {
    ::X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
    return Outcome::WrongKey;
  }
  // Who made the pin need not know that a key can be found out.
  if (is_accepted_key(::X509_get0_pubkey(own))) return Outcome::Accepted;
  ::X509_STORE_CTX_set_error(verification, X509_V_ERR_EE_KEY_TOO_SMALL);
  fault_ = fault_of(verification);
  return Outcome::WeakKey;
}

bool TlsVerdict::judge(X509_STORE_CTX* verification) {
  outcome_ = decide(verification);
  if (outcome_ == Outcome::Accepted) ::X509_STORE_CTX_set_error(verification, X509_V_OK);
  return outcome_ == Outcome::Accepted;
}

bool TlsVerdict::note_message() {
  if (++messages_ <= kMostMessages) return true;
  objection_ = "the server sends handshake messages without end";
  advice_ = "check the server";
  return false;
}

// Those that end a connection (RFC 5246, 7.2; RFC 8446, 6): after a warning it goes on.
void TlsVerdict::note_alert(int alert, int version) {
  constexpr int kUserCanceled = 90;
  bool fatal =
      version >= TLS1_3_VERSION ? (alert & 0xff) != kUserCanceled : alert >> 8 == SSL3_AL_FATAL;
  if (fatal && (alert & 0xff) != SSL_AD_CLOSE_NOTIFY) alert_ = ::SSL_alert_desc_string_long(alert);
}

// The library's own texts are a tenth of it; these are what servers make it say. Of several errors
// the last one is the handshake's, and the first one is of what it asked for.
void TlsVerdict::note_failure() {
  unsigned long last = ::ERR_peek_last_error();
  if (last == 0 || messages_ > kMostMessages) return;  // it waits for the network, or was cut off
  constexpr std::string_view kPort =
      "check that the port speaks TLS 1.2 or 1.3, with ECDHE and AEAD";
  constexpr std::string_view kServer =
      "check the server's certificate and key, and that nobody stands between";
  auto object = [&](std::string_view text, std::string_view advice) {
    objection_ = text;
    advice_ = advice;
  };
  for (unsigned long error : {last, ::ERR_peek_error()}) {
    int part = ERR_GET_LIB(error);
    if (part == ERR_LIB_ASN1 || part == ERR_LIB_X509 || part == ERR_LIB_X509V3) {
      return object("the server's certificate cannot be read", kServer);
    }
    if (part != ERR_LIB_SSL) continue;
    switch (ERR_GET_REASON(error)) {
      case SSL_R_UNEXPECTED_EOF_WHILE_READING: return;  // cut() has it
      case SSL_R_CERTIFICATE_VERIFY_FAILED: return;     // explain() has it
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
      case SSL_R_RECORD_LENGTH_MISMATCH: return object("the answer is not TLS", kPort);
      case SSL_R_UNSUPPORTED_PROTOCOL:
      case SSL_R_VERSION_TOO_LOW: return object("the server speaks no TLS but an old one", kPort);
      case SSL_R_EXCESSIVE_MESSAGE_SIZE:
        return object(
            "the server's certificates are larger than 100 kB, or another message is too large",
            "check the server");
      case SSL_R_WRONG_CURVE:
      case SSL_R_WRONG_SIGNATURE_TYPE:
      case SSL_R_WRONG_CERTIFICATE_TYPE:
      case SSL_R_UNKNOWN_CERTIFICATE_TYPE:
      case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return object("the server's key or signature is of a kind that is not accepted", kServer);
      case SSL_R_BAD_SIGNATURE:
        return object("the server does not hold its certificate's key", kServer);
      case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        return object("a record was changed on its way", "check the network");
      default: break;
    }
  }
  if (!alert_.empty()) return;
  object(concat("error ", ERR_GET_REASON(last), " of the TLS library's part ", ERR_GET_LIB(last)),
         kPort);
}

std::string TlsVerdict::explain() const {
  if (!fault_) return "its certificate was not judged";
  if (outcome_ == Outcome::WeakKey) {
    return concat("the pinned key is not accepted (",
                  fault_->weakness.empty() ? "it is of another kind" : fault_->weakness,
                  "); give the server a stronger one, and pin that");
  }
  return curlingiron::explain(*fault_, expectation_.host, expectation_.time);
}

std::optional<int64_t> TlsVerdict::valid_from() const {
  return fault_ ? curlingiron::valid_from(*fault_) : std::nullopt;
}

bool is_accepted_key(const EVP_PKEY* key) {
  return has_allowed_curve(key) && ::EVP_PKEY_get_security_bits(key) >= kSecurityBits;
}

std::string tls_library() {
  std::string_view text = ::OpenSSL_version(OPENSSL_VERSION);  // "OpenSSL 3.0.20 7 Apr 2026"
  size_t end = text.find(' ', text.find(' ') + 1);
  return std::string(text.substr(0, end));
}

}  // namespace curlingiron
