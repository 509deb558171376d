#include "image/wanted.h"

#include <algorithm>

#include "net/tls/client_certificate.h"
#include "net/tls/trust_store.h"

namespace curlingiron {

Result<ImageAccess> read_access(ConstBytes ca_bundle, ConstBytes client_certificate) {
  ImageAccess access;
  if (!ca_bundle.empty()) {
    access.trusted = TRY_CONTEXT("CA bundle", TrustStore::parse(ca_bundle));
  }
  if (!client_certificate.empty()) {
    access.client_certificate =
        TRY_CONTEXT("client certificate", ClientCertificate::parse(as_text(client_certificate)));
  }
  return access;
}

ImageProofs wanted_proofs(const Settings& settings) {
  return {settings.sha256, settings.image_sha256, settings.sums, settings.public_key,
          settings.signature};
}

HttpOptions http_options(const Settings& settings) {
  HttpOptions options;
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
  HttpOptions http = http_options(settings);
  http.trusted = access.trusted;
  http.client_certificate = access.client_certificate;
  http.certificate_time = access.certificate_time;
  http.paths = access.paths;
  ImageReading reading{
      .use = use, .member = settings.member, .any_content = settings.any_boot_mode};
  return ImageStream::open(origin, http, wanted_proofs(settings), deadline, reading);
}

bool is_vouched_for(const ImageOrigin& origin, const Settings& settings) {
  if (settings.sha256 || settings.image_sha256 || !settings.public_key.empty()) return true;
  bool servers_prove = !settings.insecure || settings.pinned_key;
  auto comes_from_the_right_place = [&](const ImageOrigin& from) {
    return from.kind != OriginKind::Http ||
           (servers_prove && std::ranges::all_of(from.mirrors, [](const Url& url) {
              return url.scheme == UrlScheme::Https;
            }));
  };
  if (settings.sums.empty()) return comes_from_the_right_place(origin);
  Result<ImageOrigin> list = origin_beside(origin, settings.sums);
  return list.ok() && comes_from_the_right_place(list.value());
}

}  // namespace curlingiron
