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
  // "certificate expired on 2026-01-31; set the clock, renew it, or pass insecure". A chain that
  // was good means that the name was wrong. `wall_clock` in seconds since the epoch.
  std::string explain(const std::string& host, int64_t wall_clock) const;

  // For OpenSSL's callback.
  int verify(void* store_context);

 private:
  bool seen_ = false;
  int error_ = 0;  // X509_V_ERR_…
  int depth_ = 0;
  std::string subject_;  // of the certificate with the fault
  std::string issuer_;
  int64_t not_before_ = 0;  // seconds since the epoch
  int64_t not_after_ = 0;
  std::vector<std::string> names_;  // of the server's own certificate
};

}  // namespace curlingiron
