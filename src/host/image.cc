#include "host/image.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "image/wanted.h"
#include "sys/clock.h"
#include "sys/terminal.h"

namespace curlingiron {

Result<std::unique_ptr<ImageStream>> open_image(const ImageOrigin& origin,
                                                const CheckedSettings& checked, ImageUse use) {
  const Settings& settings = checked.settings;
  if (settings.pinned_key && origin.kind != OriginKind::Http && settings.sums.empty()) {
    return Error(concat("pin= is of the image's server, but ", origin.name(),
                        " comes from none; leave it out"));
  }
  ImageAccess access = checked.access;
  access.certificate_time = settings.time;
  std::unique_ptr<ImageStream> image =
      TRY(open_wanted_image(origin, settings, access, now() + kSourcePatience, use));
  if (!is_vouched_for(origin, settings)) {
    log_warning(concat(origin.name(), ": ", why_not_vouched_for(settings), "--sha256"));
  }
  return image;
}

namespace {

// Of a compressed image: how large it is, and how that is known.
std::string describe_unpacked(const ImageStream& image) {
  std::string by = image.size_known_by();
  if (image.exact_image_size()) {
    return concat(format_size(*image.exact_image_size()), " unpacked (known by ", by, ")");
  }
  if (image.least_image_size()) {
    return concat("at least ", format_size(*image.least_image_size()), " unpacked (known by ", by,
                  ")");
  }
  return concat("unpacked size not known (", by, ")");
}

}  // namespace

std::string describe_image(const ImageStream& image, const Settings& settings) {
  std::string text(format_name(image.format()));
  if (image.served_size()) text += concat(", ", format_size(*image.served_size()));
  if (image.format() != Format::Raw) text += concat(", ", describe_unpacked(image));
  if (!image.tls().empty()) {
    text += concat(", ", image.tls());
    if (settings.insecure) text += settings.pinned_key ? " (by its pinned key)" : " (unverified)";
  }
  return text;
}

std::string describe_proof(const Settings& settings) {
  ImageProofs proofs = wanted_proofs(settings);
  std::vector<std::string> by;
  if (proofs.sha256) by.emplace_back("its SHA-256");
  if (proofs.image_sha256) by.emplace_back("the SHA-256 of what is in it");
  if (!proofs.sums.empty()) {
    by.push_back(
        concat("its digest in ", proofs.sums, proofs.public_key.empty() ? "" : ", signed"));
  } else if (!proofs.public_key.empty()) {
    by.emplace_back("its signature");
  }
  return join(by, " and ");
}

Result<bool> confirm_overwrite(const std::string& path) {
  if (!is_terminal(STDIN_FILENO)) {
    return Error("nobody to ask: standard input is not a terminal; pass --yes if you mean it");
  }
  std::string name = path.substr(path.rfind('/') + 1);
  std::fprintf(stderr, "\nAll data on %s will be lost. Type %s to go on: ", path.c_str(),
               name.c_str());
  std::string answer;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar())
    answer += static_cast<char>(c);
  std::string_view typed = trim(answer);
  return typed == name || typed == path;
}

}  // namespace curlingiron
