// http and https URLs (RFC 3986), as far as a download needs them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace curlingiron {

enum class UrlScheme { Http, Https };

struct Url {
  UrlScheme scheme = UrlScheme::Https;
  std::string user_info;  // "user:password", secret; empty where there is none
  std::string host;       // name in lower case, IPv4, or [IPv6]
  uint16_t port = 443;
  std::string target;  // path, without "." and "..", and query; at least "/"

  std::string text() const;     // whole, with credentials: never print it
  std::string display() const;  // without credentials and query: fit for messages
};

uint16_t default_port(UrlScheme scheme);
// Of one scheme, host and port: what is meant for one may go to the other.
bool is_same_server(const Url& a, const Url& b);

// At most 4,096 bytes; other schemes, blanks and control characters are errors, and so is a '@' in
// the path after a port, which may be a password with a raw '/' in it. A fragment is dropped;
// bytes outside ASCII in the path are percent-encoded.
Result<Url> parse_url(std::string_view text);

// A proxy that is spoken to by plain http: absent scheme means http, as everywhere. No error shows
// the text, which may hold a password.
Result<Url> parse_proxy_url(std::string_view text);

// What a Location header on `base` names (RFC 3986 section 5.2): absolute or relative. Credentials
// are never taken over from `base`.
Result<Url> resolve_reference(const Url& base, std::string_view reference);

}  // namespace curlingiron
