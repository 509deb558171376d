// What OpenSSL's functions give to keep, in owners.
#pragma once

#include <memory>

namespace curlingiron {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

// An object that `Free` releases: OpenSslOwned<X509, X509_free>.
template <typename T, auto Free>
using OpenSslOwned = std::unique_ptr<T, FreeWith<Free>>;

}  // namespace curlingiron
