#include "host/image.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/checksums.h"
#include "image/wanted.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/terminal.h"

namespace curlingiron {

namespace {

// A pipe of that name might never end.
bool is_regular_file(const std::string& path) {
  Result<std::string> real = real_path(path);
  Result<UniqueFd> root = open_root("/");
  if (!real.ok() || !root.ok()) return false;
  Result<FileStatus> status = file_status(root.value(), real.value().substr(1));
  return status.ok() && status.value().type == FileType::Regular;
}

// A digest that was mistyped is found here, where somebody publishes another one beside the image.
void warn_of_another_digest(const ImageOrigin& origin, const Settings& settings,
                            const ImageAccess& access) {
  constexpr Duration kPatience = 5s;
  if (!settings.sha256 || !settings.sums.empty() || origin.kind == OriginKind::StandardInput)
    return;
  Result<std::string> file = file_name(origin);
  if (!file.ok()) return;
  ImageOrigin one = origin;
  if (one.mirrors.size() > 1) one.mirrors.resize(1);
  std::vector<ImageOrigin> lists = {origin_with_suffix(one, ".sha256")};
  Result<ImageOrigin> sums = origin_beside(one, "SHA256SUMS");
  if (sums.ok()) lists.push_back(std::move(sums).value());
  HttpOptions options = http_options(settings, access);
  options.quiet = true;
  Time deadline = now() + kPatience;
  for (const ImageOrigin& list : lists) {
    if (list.kind == OriginKind::File && !is_regular_file(list.path)) continue;
    Result<std::string> text = read_small(list, options, deadline);
    if (!text.ok()) continue;
    Result<ExpectedDigest> digest = find_checksum(text.value(), file.value());
    if (!digest.ok() || digest.value().kind != DigestKind::Sha256) continue;
    if (digest.value().bytes == *settings.sha256) return;
    log_warning(concat(list.name(), " has another SHA-256 for ", printable(file.value(), 100), ": ",
                       to_hex(digest.value().bytes), "; check the one that was given"));
    return;
  }
}

}  // namespace

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
  warn_of_another_digest(origin, settings, access);
  if (!is_vouched_for(origin, settings)) {
    log_warning(concat(origin.name(), ": ", why_not_vouched_for(settings)));
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

std::string describe_proof(const ImageOrigin& origin, const Settings& settings) {
  ImageProofs proofs = wanted_proofs(settings);
  std::vector<std::string> by;
  if (proofs.sha256) by.emplace_back("its SHA-256");
  if (proofs.image_sha256) by.emplace_back("the SHA-256 of what is in it");
  if (!proofs.sums.empty()) {
    Result<ImageOrigin> list = origin_beside(origin, proofs.sums);
    by.push_back(concat("its digest in ", proofs.public_key.empty() ? "" : "the signed list ",
                        list.ok() ? list.value().name() : "the list"));
  } else if (!proofs.public_key.empty()) {
    by.emplace_back("its signature");
  }
  return join(by, " and ");
}

std::string why_proven_after(std::optional<uint64_t> served_size, const Settings& settings,
                             std::string_view does_not_fit) {
  if (settings.prove == ProveWhen::After) return "prove=stream";
  if (served_size) return std::string(does_not_fit);
  return concat("its length is not known (", as_typed("prove=first"),
                " tries to keep it in memory)");
}

Result<bool> confirm(const std::string& what, const std::vector<std::string>& words) {
  if (!is_terminal(STDIN_FILENO)) {
    return Error("nobody to ask: standard input is not a terminal; pass --yes if you mean it");
  }
  std::fprintf(stderr, "\n%s Type %s to go on: ", what.c_str(), words.front().c_str());
  std::string answer;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar())
    answer += static_cast<char>(c);
  return std::ranges::find(words, trim(answer)) != words.end();
}

Result<bool> confirm_overwrite(const std::string& path) {
  return confirm(concat("All data on ", path, " will be lost."),
                 {path.substr(path.rfind('/') + 1), path});
}

}  // namespace curlingiron
