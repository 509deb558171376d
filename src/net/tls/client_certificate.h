// What this side shows to servers that ask who it is.
#pragma once

#include <memory>
#include <string_view>

#include <openssl/x509.h>

#include "base/result.h"
#include "io/openssl_owned.h"

namespace curlingiron {

class ClientCertificate {
 public:
  // A PEM text with the certificate, those of authorities between it and the server's own, and the
  // private key without a password, in this order or any other but that of the certificates. The
  // error says which of them is missing or does not fit.
  static Result<std::shared_ptr<const ClientCertificate>> parse(std::string_view pem);

  // False where the policy that the context is under does not take it: its key is too weak.
  bool use(SSL_CTX* context) const;

 private:
  ClientCertificate() = default;
  OpenSslOwned<X509, X509_free> own_;
  OpenSslOwned<EVP_PKEY, EVP_PKEY_free> key_;
  std::shared_ptr<STACK_OF(X509)> chain_;
};

}  // namespace curlingiron
