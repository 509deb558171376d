// The certificates that are trusted: what --ca FILE names, or the system's bundle.
#pragma once

#include <cstdint>
#include <memory>

#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/result.h"
#include "io/openssl_owned.h"

namespace curlingiron {

class TrustStore {
 public:
  // A PEM bundle. What the library cannot read is left out, and so trusted by nobody; an error
  // where nothing is left. Bound: 16 MiB. Shared by connections of any thread.
  static Result<std::shared_ptr<const TrustStore>> parse(ConstBytes pem);

  // Borrowed; the store must outlive the connections that use it.
  X509_STORE* get() const { return store_.get(); }
  // Without those that are over at `time` (seconds since the epoch). Null: out of memory.
  OpenSslOwned<X509_STORE, X509_STORE_free> valid_at(int64_t time) const;

 private:
  TrustStore() = default;
  OpenSslOwned<X509_STORE, X509_STORE_free> store_;
};

}  // namespace curlingiron
