// A certificate as a server sends it, and what is asked of it.
#include <cstdlib>

#include "formats/x509.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes input(data, size);
  (void)read_pem_certificates(input);
  Result<Certificate> certificate = parse_x509(input);
  if (!certificate.ok()) return 0;
  const Certificate& c = certificate.value();
  if (c.whole.size() != size) std::abort();
  (void)display_name(c.issuer);
  for (const std::string& name : server_names(c, 100)) {
    // What it says it is for, it is for; but a name may have been shortened to be shown.
    if (c.alternative_names.empty() || name.size() >= 40) continue;
    (void)is_for_host(c, name);
  }
  (void)is_for_host(c, "www.example.org");
  (void)is_for_host(c, "[2001:db8::1]");
  (void)may_stand_below(c, c);
  return 0;
}
