// What messages say of a certificate, whatever the library reads in it.
#include <openssl/x509.h>

#include <cstdlib>

#include "base/text.h"
#include "io/openssl_owned.h"
#include "net/tls/certificate_report.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  const unsigned char* at = data;
  OpenSslOwned<X509, X509_free> certificate(::d2i_X509(nullptr, &at, static_cast<long>(size)));
  if (certificate == nullptr) return 0;
  std::vector<std::string> shown = host_names(certificate.get(), 5);
  if (shown.size() > 5) std::abort();
  shown.push_back(display_name(::X509_get_subject_name(certificate.get())));
  shown.push_back(display_name(::X509_get_issuer_name(certificate.get())));
  for (const std::string& text : shown) {
    if (text != printable(text)) std::abort();
  }
  return 0;
}
