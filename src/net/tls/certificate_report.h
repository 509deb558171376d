// Why a server's certificate was not accepted, in words that help: from the library's verdict and
// its own reading of the certificate, of which there is no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

namespace curlingiron {

// What the message needs of a certificate that was found wanting; a copy, as the certificates go
// with the handshake.
struct CertificateFault {
  int code = 0;           // X509_V_ERR_…, see X509_STORE_CTX_get_error(3)
  bool is_server = true;  // the server's own certificate, or that of an authority
  std::string subject;    // what people call it, printable
  std::string issuer;
  std::string weakness;    // of what is not accepted of its key or signature: which one
  int64_t not_before = 0;  // seconds since the epoch
  int64_t not_after = 0;
  std::vector<std::string> names;  // of the server's own certificate, printable
};

// The fault that a verification ended with.
CertificateFault fault_of(X509_STORE_CTX* verification);

// "certificate expired on 2026-01-31; set the clock, renew it, or set insecure". `wall_clock` in
// seconds since the epoch: the time that was verified for.
std::string explain(const CertificateFault& fault, std::string_view host, int64_t wall_clock);

// When the certificate becomes valid, where it was refused for being too young. Seconds since the
// epoch.
std::optional<int64_t> valid_from(const CertificateFault& fault);

// The common name, else the organization: what people call it. Made printable.
std::string display_name(const X509_NAME* name);
// The hosts that a certificate is for, made printable; `most` at most.
std::vector<std::string> host_names(const X509* certificate, size_t most);

}  // namespace curlingiron
