// The certificates that are trusted: what --ca FILE names, or the system's bundle.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <openssl/types.h>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

class TrustStore {
 public:
  // A PEM bundle. What the library cannot read is left out, and so trusted by nobody; an error
  // where nothing is left. Bound: 16 MiB.
  static Result<TrustStore> load(const std::string& file);
  static Result<TrustStore> parse(ConstBytes pem);

  TrustStore(TrustStore&&) noexcept;
  TrustStore& operator=(TrustStore&&) noexcept;
  ~TrustStore();

  // Borrowed; the store must outlive the connections that use it.
  X509_STORE* get() const;

 private:
  struct State;
  explicit TrustStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
