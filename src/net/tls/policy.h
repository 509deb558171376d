// What is accepted of a TLS server, in one place. OpenSSL judges; what it is asked to judge by
// stands here, and what came of it.
//
//  * TLS 1.2 with ECDHE and AEAD, and TLS 1.3: what is older is neither forward secret nor safe
//    against a changed record. Nothing is renegotiated.
//  * X25519, P-256, P-384, P-521; signatures by ECDSA, Ed25519 and RSA with SHA-2; security level 2
//    (SSL_CTX_set_security_level(3)): RSA keys of 2048 bits and more, no SHA-1. A pinned key has to
//    be as strong.
//  * The certificate is for servers and for the host of the URL: a name without asterisks inside a
//    label, or an address as subjectAltName. Names are constrained as RFC 5280 has it, the name
//    that was asked for as well: OpenSSL looks at those in the certificate alone, which may match
//    more than it compares (with an asterisk, as common name).
//  * A path ends at the first trusted certificate. Each trusted one counts as what it is: a
//    server's own for that server alone, an authority for what it may sign. So no certificate but a
//    CA signs another, whatever its keyUsage: OpenSSL alone would let some pass that do not say so.
//  * A certificate above the server's that is over, too weak, without an issuer or that of another
//    key does not stand in the way of a path around it: OpenSSL alone tries the first one of each
//    name. It is asked again without that one, eight times at most.
//  * No session is resumed: a server proves who it is on every connection.
//  * What a server says besides data is bounded: the library goes on reading for as long as
//    messages come, and would never come back to look at a deadline.
//  * No key of a connection is written anywhere, whatever the environment asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <openssl/x509.h>

#include "formats/key_pin.h"
#include "net/tls/certificate_report.h"
#include "net/tls/trust_store.h"

namespace curlingiron {

// What a server must prove.
struct TlsExpectation {
  std::string host;
  const TrustStore* trusted = nullptr;  // null: anybody will do (insecure)
  std::optional<KeyPin> pin;            // of its key; absent: any
  int64_t time = 0;                     // that certificates must be valid at, since the epoch
};

// One connection's server, judged.
class TlsVerdict {
 public:
  // Sets all of the policy, and forgets an earlier connection. The verdict must outlive the
  // connections made from the context. False where memory ends, and for what is no host.
  bool govern(SSL_CTX* context, TlsExpectation expectation);

  // The verification ran, and said yes. Nothing else makes a connection one to the right server.
  bool accepted() const { return outcome_ == Outcome::Accepted; }
  // The server did not prove what it had to.
  bool refused() const { return outcome_ != Outcome::None && outcome_ != Outcome::Accepted; }
  bool refused_pin() const { return outcome_ == Outcome::WrongKey; }
  // The server asked for a client certificate, and there was none to send.
  bool asked_for_certificate() const { return asked_for_certificate_; }
  // The server's key, as pins are written; "unknown" before it was seen.
  std::string server_key() const { return key_ ? format_key_pin(*key_) : "unknown"; }
  // For refused(), but for a wrong key.
  std::string explain() const;
  // When the certificate becomes valid, where it was refused for being too young. Seconds since the
  // epoch.
  std::optional<int64_t> valid_from() const;

  // The alert that the server ended the connection with ("handshake failure"), or empty.
  const std::string& alert() const { return alert_; }
  // What this side found wrong with the handshake, where that is no certificate; or empty.
  const std::string& objection() const { return objection_; }
  std::string_view advice() const { return advice_; }  // what to do about that
  // Of a handshake that failed: the connection ended without a word of either side.
  bool cut() const { return !refused() && alert_.empty() && objection_.empty(); }

  // What a verification is asked to judge by: purpose, host (where one is named), time, names.
  static bool demand(X509_VERIFY_PARAM* wanted, const std::string& host, int64_t time);
  // What a path must not have although OpenSSL lets it pass: its error code, and where. No `host`:
  // any.
  struct Objection {
    int code;
    int depth;  // from the server's own certificate, 0, up
  };
  static std::optional<Objection> objection_to(const STACK_OF(X509) * path,
                                               const std::string& host);

  // For the library's callbacks.
  bool judge(X509_STORE_CTX* verification);
  // False for a connection of an earlier request, which is kept while another one is made.
  bool concerns(const SSL_CTX* context) const { return context_ == nullptr || context_ == context; }
  void note_certificate_request() { asked_for_certificate_ = true; }
  void note_alert(int alert, int version);
  void note_failure();  // the error is in this thread's queue
  // A message of a handshake, or one after it. False: too many of them without data.
  bool note_message();
  // The reader has got data: records without any do not count.
  void note_data() { messages_ = 0; }

 private:
  enum class Outcome { None, Accepted, BadPath, WrongKey, WeakKey };

  Outcome decide(X509_STORE_CTX* verification);
  bool has_good_path(X509_STORE_CTX* verification) const;
  bool is_good_path(X509_STORE_CTX* verification) const;

  TlsExpectation expectation_;
  const SSL_CTX* context_ = nullptr;  // null: a connection that was there is used
  Outcome outcome_ = Outcome::None;
  bool asked_for_certificate_ = false;
  std::optional<KeyPin> key_;  // where a pin is compared with it
  std::optional<CertificateFault> fault_;
  std::string alert_;
  std::string objection_;
  std::string_view advice_;
  unsigned messages_ = 0;  // since there was data
};

// Of a curve and a strength that the policy takes.
bool is_accepted_key(const EVP_PKEY* key);

// The library's name and version, for --version: "OpenSSL 3.0.20".
std::string tls_library();

}  // namespace curlingiron
