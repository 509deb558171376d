// Judges a server's certificate for one connection, and says in words that help why it was not
// accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "net/certificate_path.h"

namespace curlingiron {

// What a server must prove.
struct TlsExpectation {
  std::string host;
  const TrustStore* trusted = nullptr;  // null: anybody will do (insecure)
  std::string_view pins;                // "sha256//BASE64;…"; empty: any key
};

class TlsWitness {
 public:
  // `tls_context` is a WOLFSSL_CTX*, whose verification is replaced by this one's. The witness must
  // outlive the connection.
  void attach(void* tls_context, TlsExpectation expectation);

  // The server did not prove what it had to.
  bool refused() const { return verdict_ != Verdict::None && verdict_ != Verdict::Accepted; }
  bool refused_pin() const { return verdict_ == Verdict::WrongKey; }
  // The chain was looked at.
  bool saw_certificate() const { return verdict_ != Verdict::None; }
  // The server asked for a client certificate, and there was none to send.
  bool asked_for_certificate() const { return asked_; }
  // "sha256//BASE64" of the server's public key, as pins are written; "unknown" before it was seen.
  std::string key_pin() const { return pin_.empty() ? "unknown" : pin_; }
  // "certificate expired on 2026-01-31; set the clock, renew it, or pass insecure", for refused().
  // `wall_clock` in seconds since the epoch.
  std::string explain(int64_t wall_clock) const;
  // When the certificate becomes valid, where it was refused for being too young. Seconds since the
  // epoch.
  std::optional<int64_t> valid_from() const;

  // For the library's callbacks. `library_error`: what it thinks itself, or 0. Error texts are the
  // library's.
  bool judge(std::span<const ConstBytes> chain, int library_error);
  void note_certificate_request() { asked_ = true; }

 private:
  enum class Verdict { None, Accepted, BadPath, WrongHost, WrongKey };

  Verdict decide(std::span<const ConstBytes> chain, int library_error);

  TlsExpectation expectation_;
  Verdict verdict_ = Verdict::None;
  bool asked_ = false;
  std::string pin_;
  std::optional<PathFault> fault_;
  std::vector<std::string> names_;  // of the server's own certificate
};

// The alert that ended a connection of this thread, as the library's queue of errors has it
// ("bad certificate"), or empty. Empties the queue.
std::string take_tls_alert();

}  // namespace curlingiron
