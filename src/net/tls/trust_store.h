// The certificates that are trusted: what --ca FILE names, or the system's bundle.
#pragma once

#include <memory>
#include <span>

#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/result.h"
#include "io/openssl_owned.h"

namespace curlingiron {

// Byte for byte.
bool is_among(const X509* certificate, std::span<const OpenSslOwned<X509, X509_free>> others);

// Of its DER, which must be all of `bytes`; null where the library cannot read it.
OpenSslOwned<X509, X509_free> read_certificate(ConstBytes bytes);

class TrustStore {
 public:
  // A PEM bundle. What the library cannot read is left out, and so trusted by nobody; an error
  // where nothing is left. Bound: 16 MiB. Shared by connections of any thread.
  static Result<std::shared_ptr<const TrustStore>> parse(ConstBytes pem);

  // Borrowed; the store must outlive the connections that use it.
  X509_STORE* get() const { return store_.get(); }
  // All but these. Null: out of memory.
  OpenSslOwned<X509_STORE, X509_STORE_free> without(
      std::span<const OpenSslOwned<X509, X509_free>> left_out) const;

 private:
  TrustStore() = default;
  OpenSslOwned<X509_STORE, X509_STORE_free> store_;
};

}  // namespace curlingiron
