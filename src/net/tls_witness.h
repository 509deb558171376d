// Why a server's certificate was not accepted, in words that help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace curlingiron {

// Hangs into OpenSSL's verification of one connection and keeps what it saw.
class TlsWitness {
 public:
  // `ssl_context` is an SSL_CTX*. The witness must outlive the connection.
  void attach(void* ssl_context);

  // OpenSSL said no to the chain of certificates.
  bool refused() const { return error_ != 0; }
  // The chain was looked at (and was good unless refused()).
  bool saw_certificate() const { return seen_; }
  // The server asked for a client certificate, and there was none to send.
  bool asked_for_certificate() const { return asked_; }
  // "sha256//BASE64" of the server's public key, as pins are written; "unknown" before it was seen.
  std::string key_pin() const { return pin_.empty() ? "unknown" : pin_; }
  // "certificate expired on 2026-01-31; set the clock, renew it, or pass insecure". A chain that
  // was good means that the name was wrong. `wall_clock` in seconds since the epoch.
  std::string explain(const std::string& host, int64_t wall_clock) const;

  // For OpenSSL's callback.
  int verify(void* store_context);
  void note_certificate_request() { asked_ = true; }

 private:
  bool seen_ = false;
  bool asked_ = false;
  std::string pin_;
  int error_ = 0;  // X509_V_ERR_…
  int depth_ = 0;
  std::string subject_;  // of the certificate with the fault
  std::string issuer_;
  int64_t not_before_ = 0;  // seconds since the epoch
  int64_t not_after_ = 0;
  std::vector<std::string> names_;  // of the server's own certificate
};

}  // namespace curlingiron
