// Where an image, or something published beside it, comes from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "net/http/options.h"

namespace curlingiron {

enum class OriginKind { Http, File, StandardInput };

struct ImageOrigin {
  OriginKind kind = OriginKind::Http;
  std::vector<Url> mirrors;  // Http: of the same file, the preferred one first
  std::string path;          // File

  std::string name() const;  // without secrets, for messages
};

// URLs (http, https; more than one are mirrors), "file:///PATH", a path, or "-".
Result<ImageOrigin> parse_origin(const std::vector<std::string>& sources);

// True for a file of this machine, and where every mirror is https and `servers_prove` who they
// are: nobody on the path can have sent something else.
bool comes_from_the_right_place(const ImageOrigin& origin, bool servers_prove);

// What `reference` names as seen from `base`: a URL or a path of its own, or one relative to where
// the base lies, on each of its mirrors. Credentials are taken along to the same host only.
Result<ImageOrigin> origin_beside(const ImageOrigin& base, const std::string& reference);
// The same place with `suffix` added to the file's name.
ImageOrigin origin_with_suffix(const ImageOrigin& base, std::string_view suffix);
// The file's name without folders, decoded; an error for standard input and for folders.
Result<std::string> file_name(const ImageOrigin& origin);

inline constexpr size_t kSmallText = size_t{1} << 20;

// The whole of a small file: a list of digests, a signature. More than kSmallText is an error.
Result<std::string> read_small(const ImageOrigin& origin, const HttpOptions& options,
                               std::optional<Time> deadline);

}  // namespace curlingiron
