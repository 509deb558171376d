#include "image/wanted.h"

namespace curlingiron {

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
  http.ca_file = access.ca_file;
  http.client_certificate = access.client_certificate;
  http.paths = access.paths;
  ImageReading reading{
      .use = use, .member = settings.member, .any_content = settings.any_boot_mode};
  return ImageStream::open(origin, http, wanted_proofs(settings), deadline, reading);
}

bool is_vouched_for(std::string_view tls, const ImageOrigin& origin, const Settings& settings) {
  if (origin.kind != OriginKind::Http || wanted_proofs(settings).any()) return true;
  return !tls.empty() && (!settings.insecure || settings.pinned_key);
}

}  // namespace curlingiron
