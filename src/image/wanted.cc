#include "image/wanted.h"

#include "base/advice.h"
#include "base/text.h"
#include "net/tls/client_certificate.h"
#include "net/tls/trust_store.h"

namespace curlingiron {

Result<ImageAccess> read_access(ConstBytes ca_bundle, ConstBytes client_certificate) {
  ImageAccess access;
  if (!ca_bundle.empty()) {
    access.trusted = TRY(TrustStore::parse(ca_bundle));
  }
  if (!client_certificate.empty()) {
    access.client_certificate = TRY(ClientCertificate::parse(as_text(client_certificate)));
  }
  return access;
}

ImageProofs wanted_proofs(const Settings& settings) {
  return {settings.sha256, settings.image_sha256, settings.sums, settings.public_key,
          settings.signature};
}

HttpOptions http_options(const Settings& settings, const ImageAccess& access) {
  HttpOptions options;
  options.trusted = access.trusted;
  options.client_certificate = access.client_certificate;
  options.certificate_time = access.certificate_time;
  options.paths = access.paths;
  options.insecure = settings.insecure;
  options.headers = settings.headers;
  options.proxy = settings.proxy;
  options.pinned_key = settings.pinned_key;
  return options;
}

Result<std::unique_ptr<ImageStream>> open_wanted_image(const ImageOrigin& origin,
                                                       const Settings& settings,
                                                       const ImageAccess& access,
                                                       std::optional<Time> deadline, ImageUse use) {
  if (settings.prove == ProveWhen::First && !wanted_proofs(settings).any()) {
    return Error(concat("prove=first, but nothing is there to prove the image by; pass ",
                        as_typed("sha256=HEX"), ", or leave it out"));
  }
  ImageReading reading{.use = use,
                       .member = settings.member,
                       .any_content = settings.any_boot_mode,
                       .prove = settings.prove,
                       .on_held = access.on_held};
  return ImageStream::open(origin, http_options(settings, access), wanted_proofs(settings),
                           deadline, reading);
}

std::string why_not_vouched_for(const Settings& settings) {
  std::string pass = concat("pass ", as_typed("sha256=HEX"));
  if (!http_options(settings).servers_prove()) {
    return concat(
        "certificates are not verified (insecure), so nothing proves that this is the "
        "image you mean: somebody on the way could have sent another; leave that out, or pass ",
        as_typed("pin=sha256//BASE64"), ", or ", pass);
  }
  return concat(
      "nothing proves that this is the image you mean: somebody on the way could have sent "
      "another; use https for it, its mirrors and its list of digests, or ",
      pass);
}

bool is_vouched_for(const ImageOrigin& origin, const Settings& settings) {
  if (settings.sha256 || settings.image_sha256 || !settings.public_key.empty()) return true;
  bool servers_prove = http_options(settings).servers_prove();
  if (settings.sums.empty()) return comes_from_the_right_place(origin, servers_prove);
  Result<ImageOrigin> list = origin_beside(origin, settings.sums);
  return list.ok() && comes_from_the_right_place(list.value(), servers_prove);
}

}  // namespace curlingiron
