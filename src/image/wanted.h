// The image that settings name, for /init and the command alike.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "formats/settings.h"
#include "image/origin.h"
#include "image/stream.h"
#include "net/http/options.h"

namespace curlingiron {

// What the machine that asks adds to the settings.
struct ImageAccess {
  std::shared_ptr<const TrustStore> trusted;                    // null: no https server is
  std::shared_ptr<const ClientCertificate> client_certificate;  // null: none
  std::optional<int64_t> certificate_time;                      // HttpOptions::certificate_time
  PathChooser* paths = nullptr;                                 // null: as the kernel routes
  std::function<void(uint64_t bytes)> on_held = {};             // ImageReading::on_held
};

// Of PEM texts, each of which may be empty.
Result<ImageAccess> read_access(ConstBytes ca_bundle, ConstBytes client_certificate);

ImageProofs wanted_proofs(const Settings& settings);
// How to ask a server.
HttpOptions http_options(const Settings& settings, const ImageAccess& access = {});

// `origin` is what settings.sources name (parse_origin).
Result<std::unique_ptr<ImageStream>> open_wanted_image(const ImageOrigin& origin,
                                                       const Settings& settings,
                                                       const ImageAccess& access,
                                                       std::optional<Time> deadline,
                                                       ImageUse use = ImageUse::Write);

// False when somebody on the path could have sent any image, or a list of digests that fits it: no
// digest and no signature is given, and the image, one of its mirrors or the list comes by http, or
// from a server that is neither verified nor pinned. An http URL stays one where the server
// redirects to https: whoever answered may have redirected elsewhere. A file of this machine is
// taken as it is.
bool is_vouched_for(const ImageOrigin& origin, const Settings& settings);
// The warning for that, up to the name of a digest as it is given there.
std::string why_not_vouched_for(const Settings& settings);

}  // namespace curlingiron
