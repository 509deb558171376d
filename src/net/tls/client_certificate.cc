#include "net/tls/client_certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "formats/pem.h"
#include "net/tls/policy.h"
#include "net/tls/trust_store.h"

namespace curlingiron {
namespace {

// A key with a password must fail, not ask the terminal.
int no_password(char* /*out*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

void free_chain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, ::X509_free); }

// The first one in it, of any kind; null where there is none that can be read.
EVP_PKEY* read_key(std::string_view pem) {
  OpenSslOwned<BIO, BIO_free> in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (in == nullptr) return nullptr;
  return ::PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr);
}

}  // namespace

Result<std::shared_ptr<const ClientCertificate>> ClientCertificate::parse(std::string_view pem) {
  constexpr size_t kLargest = size_t{1} << 20;
  if (pem.size() > kLargest) return Error("larger than any certificate with its key");
  std::shared_ptr<ClientCertificate> made(new ClientCertificate());
  made->chain_.reset(sk_X509_new_null(), free_chain);
  if (made->chain_ == nullptr) return Error("out of memory");
  PemBlocks blocks = read_pem(pem, "CERTIFICATE");
  for (const ByteVector& block : blocks.contents) {
    OpenSslOwned<X509, X509_free> certificate = read_certificate(block);
    if (certificate == nullptr) {
      ::ERR_clear_error();
      return Error("holds a certificate that cannot be read");
    }
    if (made->own_ == nullptr) {
      made->own_ = std::move(certificate);
    } else {
      if (sk_X509_push(made->chain_.get(), certificate.get()) <= 0) return Error("out of memory");
      (void)certificate.release();
    }
  }
  if (blocks.damaged != 0) return Error("holds a certificate that is cut or damaged");
  if (made->own_ == nullptr) {
    return Error("holds no certificate; put certificate and key into one PEM file");
  }
  made->key_.reset(read_key(pem));
  bool fits =
      made->key_ != nullptr && ::X509_check_private_key(made->own_.get(), made->key_.get()) == 1;
  ::ERR_clear_error();
  if (made->key_ == nullptr) {
    if (pem.find("PRIVATE KEY-----") == std::string_view::npos) {
      return Error("holds no private key; put certificate and key into one PEM file");
    }
    if (pem.find("ENCRYPTED") != std::string_view::npos) {
      return Error(
          "its private key has a password, which nobody can type later; take it off with "
          "\"openssl pkey\"");
    }
    return Error("its private key cannot be read");
  }
  if (!fits) return Error("the private key is not that of the first certificate");
  if (!is_accepted_key(made->key_.get())) {
    return Error(
        "its key is not accepted: it takes RSA of 2048 bits, P-256, P-384, P-521 or Ed25519");
  }
  return std::shared_ptr<const ClientCertificate>(std::move(made));
}

bool ClientCertificate::use(SSL_CTX* context) const {
  return ::SSL_CTX_use_cert_and_key(context, own_.get(), key_.get(), chain_.get(), 1) == 1;
}

}  // namespace curlingiron
