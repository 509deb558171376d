// The image that settings name, for /init and the command alike.
#pragma once

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
  std::string ca_file;             // PEM bundle of the authorities
  std::string client_certificate;  // PEM, with its key; empty: none
  PathChooser* paths = nullptr;    // null: as the kernel routes
};

ImageProofs wanted_proofs(const Settings& settings);
// How to ask a server, but for what ImageAccess adds.
HttpOptions http_options(const Settings& settings);

// `origin` is what settings.sources name (parse_origin).
Result<std::unique_ptr<ImageStream>> open_wanted_image(const ImageOrigin& origin,
                                                       const Settings& settings,
                                                       const ImageAccess& access,
                                                       std::optional<Time> deadline,
                                                       ImageUse use = ImageUse::Write);

// False when whoever sits on the path could have sent any image: no TLS that was verified or
// pinned, no digest, no signature. A file of this machine is taken as it is. `tls`: its version,
// empty where there is none.
bool is_vouched_for(std::string_view tls, const ImageOrigin& origin, const Settings& settings);

}  // namespace curlingiron
