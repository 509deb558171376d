#include "image/origin.h"

#include <fcntl.h>

#include <algorithm>

#include "base/advice.h"
#include "base/percent.h"
#include "base/text.h"
#include "io/adapters.h"
#include "net/http/source.h"

namespace curlingiron {
namespace {

constexpr std::string_view kFileScheme = "file://";

bool is_url(std::string_view text) {
  return text.find("://") != std::string_view::npos && !text.starts_with(kFileScheme);
}

std::string path_of(const std::string& text) {
  return text.starts_with(kFileScheme) ? text.substr(kFileScheme.size()) : text;
}

}  // namespace

std::string ImageOrigin::name() const {
  switch (kind) {
    case OriginKind::Http: return mirrors.front().display();
    case OriginKind::File: return printable(path);
    case OriginKind::StandardInput: return "standard input";
  }
  __builtin_unreachable();
}

Result<ImageOrigin> parse_origin(const std::vector<std::string>& sources) {
  ImageOrigin origin;
  for (const std::string& source : sources) {
    if (is_url(source)) {
      origin.mirrors.push_back(TRY(parse_url(source)));
    } else if (sources.size() > 1) {
      return Error(concat(printable(source), ": only URLs can be mirrors of each other"));
    } else if (source == "-") {
      origin.kind = OriginKind::StandardInput;
      return origin;
    } else {
      origin.kind = OriginKind::File;
      origin.path = path_of(source);
      if (!origin.path.empty()) return origin;
    }
  }
  if (origin.mirrors.empty()) return Error("no image is named");
  return origin;
}

bool comes_from_the_right_place(const ImageOrigin& origin, bool servers_prove) {
  return origin.kind != OriginKind::Http ||
         (servers_prove && std::ranges::all_of(origin.mirrors, [](const Url& url) {
            return url.scheme == UrlScheme::Https;
          }));
}

Result<ImageOrigin> origin_beside(const ImageOrigin& base, const std::string& reference) {
  if (is_url(reference)) return parse_origin({reference});
  ImageOrigin origin;
  if (base.kind != OriginKind::Http || reference.starts_with(kFileScheme)) {
    origin.kind = OriginKind::File;
    std::string path = path_of(reference);
    size_t slash = base.path.rfind('/');
    bool relative = base.kind == OriginKind::File && !path.starts_with('/');
    if (relative && slash != std::string::npos) path = base.path.substr(0, slash + 1) + path;
    origin.path = std::move(path);
    return origin;
  }
  for (const Url& mirror : base.mirrors) {
    Url url = TRY(resolve_reference(mirror, reference));
    if (is_same_server(mirror, url)) url.user_info = mirror.user_info;
    origin.mirrors.push_back(std::move(url));
  }
  return origin;
}

ImageOrigin origin_with_suffix(const ImageOrigin& base, std::string_view suffix) {
  ImageOrigin origin = base;
  origin.path += suffix;
  for (Url& mirror : origin.mirrors) {
    mirror.target.insert(std::min(mirror.target.find('?'), mirror.target.size()), suffix);
  }
  return origin;
}

Result<std::string> file_name(const ImageOrigin& origin) {
  std::string name;
  switch (origin.kind) {
    case OriginKind::Http: {
      std::string path = origin.mirrors.front().target;
      path = path.substr(0, path.find('?'));
      name = percent_decode(path.substr(path.rfind('/') + 1));
      break;
    }
    case OriginKind::File: name = origin.path.substr(origin.path.rfind('/') + 1); break;
    case OriginKind::StandardInput: break;
  }
  if (name.empty()) {
    return Error(concat(origin.name(),
                        ": has no file name that a list of digests could hold; pass ",
                        as_typed("sha256=HEX")));
  }
  return name;
}

Result<std::string> read_small(const ImageOrigin& origin, const HttpOptions& options,
                               std::optional<Time> deadline) {
  std::unique_ptr<Source> source;
  if (origin.kind == OriginKind::Http) {
    source = TRY(HttpSource::open(origin.mirrors, options, deadline));
  } else {
    UniqueFd fd = TRY_CONTEXT(origin.name(), open_path(origin.path, O_RDONLY));
    source = std::make_unique<FileSource>(std::move(fd));
  }
  std::string text(kSmallText + 1, '\0');
  size_t size = TRY(read_full(*source, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
  if (size > kSmallText) {
    return Error(concat(origin.name(), ": is longer than 1 MiB; it is not what it should be"));
  }
  text.resize(size);
  return text;
}

}  // namespace curlingiron
