// Whom a TLS server is taken for: paths of certificates from a server's own to one that is trusted
// (RFC 5280, section 6.1), as OpenSSL looks for them: among all that the server sent, in any order,
// trusted ones first, another path where one fails. wolfSSL verifies a chain, but does not look for
// one: so a path is found here, checked here, and then has to be good for wolfSSL, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/x509.h"

namespace curlingiron {

// The certificates that are trusted. Each may be a root, an authority below one, or a server's own.
class TrustStore {
 public:
  // A PEM bundle. What cannot be parsed is left out, and so trusted by nobody; an error where
  // nothing is left. Bound: 16 MiB.
  static Result<TrustStore> load(const std::string& file);
  static Result<TrustStore> parse(ConstBytes pem);

  size_t size() const { return certificates_.size(); }
  bool holds(const Certificate& certificate) const;
  // Those with this subject.
  std::span<const Certificate> named(ConstBytes subject) const;

 private:
  TrustStore() = default;

  std::vector<ByteVector> bytes_;          // what the certificates look into
  std::vector<Certificate> certificates_;  // by subject
};

struct PathFault {
  enum class Kind { Expired, NotYetValid, UnknownIssuer, Refused };
  Kind kind = Kind::Refused;
  std::string reason;     // of Refused
  bool is_server = true;  // the server's own certificate, or an authority's
  std::string subject = {};
  std::string issuer = {};
  int64_t not_before = 0;  // seconds since the epoch
  int64_t not_after = 0;
};

// Nothing, or the fault of the path that came furthest. `chain`: what the server sent, its own
// certificate first. `now` in seconds since the epoch. The host's name is not looked at.
std::optional<PathFault> find_path(std::span<const ConstBytes> chain, const TrustStore& trusted,
                                   int64_t now);

}  // namespace curlingiron
