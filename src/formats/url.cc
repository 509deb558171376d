#include "formats/url.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxUrl = 4096;

bool is_control_or_blank(char c) { return is_control(c) || c == ' '; }

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
}

// Percent-encodes what may not stand in a request line but is often typed or sent raw.
std::string encode_raw_bytes(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x80 || c == ' ') {
      encoded += concat('%', kDigits[byte >> 4], kDigits[byte & 15]);
    } else {
      encoded += c;
    }
  }
  return encoded;
}

Result<void> parse_host(std::string_view text, Url& url) {
  std::string_view host = text;
  std::string_view port;
  if (!text.empty() && text[0] == '[') {
    size_t close = text.find(']');
    if (close == std::string_view::npos) return Error("'[' without ']' in the host");
    host = text.substr(0, close + 1);
    std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return Error("unexpected text after ']' in the host");
    port = rest.empty() ? rest : rest.substr(1);
    url.host = to_lower(host);
    std::string_view inner = std::string_view(url.host).substr(1, url.host.size() - 2);
    if (inner.size() < 2 || !std::all_of(inner.begin(), inner.end(), is_ipv6_character)) {
      return Error(concat("'", printable(host, 60), "' is no IPv6 address"));
    }
  } else {
    size_t colon = text.find(':');
    if (colon != std::string_view::npos) {
      host = text.substr(0, colon);
      port = text.substr(colon + 1);
    }
    url.host = to_lower(host);
    if (url.host.empty()) return Error("the host is missing");
    if (url.host.size() > 253) return Error("the host name is longer than 253 characters");
    std::string_view labels = url.host;
    if (labels.ends_with('.')) labels.remove_suffix(1);  // the root's
    bool hollow = labels.empty() || labels.starts_with('.') || labels.ends_with('.') ||
                  labels.find("..") != std::string_view::npos;
    if (hollow || !std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      return Error(concat("'", printable(host, 60),
                          "' is no host name; write an international name as xn--…"));
    }
  }
  if (port.empty()) return {};
  Result<uint32_t> number = parse_u32(port);
  if (!number.ok() || number.value() == 0 || number.value() > 65535) {
    return Error(concat("'", printable(port, 20), "' is no port"));
  }
  url.port = static_cast<uint16_t>(number.value());
  return {};
}

// Removes "." and ".." segments (RFC 3986 section 5.2.4).
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  std::vector<std::string_view> segments = split(path, '/');
  for (size_t i = 1; i < segments.size(); ++i) {
    bool last = i + 1 == segments.size();
    if (segments[i] == "." || segments[i] == "..") {
      if (segments[i] == ".." && !kept.empty()) kept.pop_back();
      if (last) kept.emplace_back();
    } else {
      kept.push_back(segments[i]);
    }
  }
  std::string out;
  for (std::string_view segment : kept) out += concat('/', segment);
  return out.empty() ? "/" : out;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool has_scheme(std::string_view text) {
  size_t colon = text.find(':');
  return colon != std::string_view::npos && colon < text.find_first_of("/?#");
}

}  // namespace

uint16_t default_port(UrlScheme scheme) { return scheme == UrlScheme::Https ? 443 : 80; }

std::string Url::text() const {
  std::string out = scheme == UrlScheme::Https ? "https://" : "http://";
  if (!user_info.empty()) out += concat(user_info, '@');
  out += host;
  if (port != default_port(scheme)) out += concat(':', port);
  out += target;
  return out;
}

std::string Url::display() const {
  Url shown = *this;
  shown.user_info.clear();
  shown.target = std::string(path_of(target));
  return shown.text();
}

namespace {

Result<Url> parse_absolute(std::string_view text) {
  if (text.size() > kMaxUrl) return Error("the URL is longer than 4096 bytes");
  if (std::any_of(text.begin(), text.end(), is_control_or_blank)) {
    return Error("the URL holds a blank or a control character; write it as %20 and the like");
  }
  Url url;
  size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    return Error("the URL has no scheme; write https://HOST/PATH");
  }
  std::string scheme = to_lower(text.substr(0, colon));
  if (scheme == "https") {
    url.scheme = UrlScheme::Https;
  } else if (scheme == "http") {
    url.scheme = UrlScheme::Http;
  } else {
    return Error(concat("scheme '", printable(scheme, 20),
                        "' is not http or https; write https://HOST/PATH"));
  }
  url.port = default_port(url.scheme);
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  size_t end = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, end);
  std::string_view target = end == std::string_view::npos ? "" : rest.substr(end);
  size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    url.user_info = encode_raw_bytes(authority.substr(0, at));
    authority = authority.substr(at + 1);
  }
  Result<void> host = parse_host(authority, url);
  // "https://bob:s3cr/et@host/": the password must not be quoted as a port.
  if (!host.ok() && at == std::string_view::npos && rest.find('@') != std::string_view::npos) {
    return Error(
        "the host or port is wrong; a '/', '?' or '#' in a password is written %2F, %3F, %23");
  }
  TRY(std::move(host));
  std::string encoded = encode_raw_bytes(target);
  std::string_view path = path_of(encoded);
  std::string_view query = std::string_view(encoded).substr(path.size());
  url.target = concat(remove_dot_segments(path), query);
  return url;
}

// "http://bob:12/34@host/": a port and a path, or a password with a raw slash? Guessing wrong would
// send a part of it to somebody else.
bool is_ambiguous(std::string_view text) {
  std::string_view rest = text.substr(text.find("://") + 3);
  rest = rest.substr(0, rest.find('#'));
  size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  bool has_port = authority.rfind(':') != std::string_view::npos && authority[0] != '[';
  return has_port && authority.find('@') == std::string_view::npos &&
         rest.substr(end).find('@') != std::string_view::npos;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  Url url = TRY(parse_absolute(text));
  if (is_ambiguous(text)) {
    return Error(
        "what stands before the '@' may be a password or a port and a path; write a '/' in a "
        "password as %2F, a '@' in a path as %40");
  }
  return url;
}

bool is_same_server(const Url& a, const Url& b) {
  return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

Result<Url> parse_proxy_url(std::string_view text) {
  std::string whole(text);
  if (text.find("://") == std::string_view::npos) whole = concat("http://", text);
  Url url = TRY(parse_url(whole));
  if (url.scheme == UrlScheme::Http) return url;
  return Error(
      concat(url.display(), ": the connection to a proxy is plain http; write http://HOST:PORT"));
}

Result<Url> resolve_reference(const Url& base, std::string_view reference) {
  if (reference.size() > kMaxUrl) return Error("the URL is longer than 4096 bytes");
  std::string encoded = encode_raw_bytes(reference);
  std::string_view ref = encoded;
  // What a server says is for machines: there a '@' after the host is the path's.
  if (has_scheme(ref)) return parse_absolute(ref);
  Url url = base;
  url.user_info.clear();
  if (ref.starts_with("//")) {
    return parse_absolute(concat(base.scheme == UrlScheme::Https ? "https:" : "http:", ref));
  }
  if (std::any_of(ref.begin(), ref.end(), is_control_or_blank)) {
    return Error("the URL holds a control character");
  }
  ref = ref.substr(0, ref.find('#'));
  if (ref.empty()) return url;
  std::string_view query = ref.substr(path_of(ref).size());
  std::string_view path = path_of(ref);
  std::string_view base_path = path_of(base.target);
  if (path.empty()) {
    url.target = concat(base_path, query);
  } else {
    std::string_view folder = base_path.substr(0, base_path.rfind('/') + 1);
    std::string merged = path[0] == '/' ? std::string(path) : concat(folder, path);
    url.target = concat(remove_dot_segments(merged), query);
  }
  if (url.target.size() > kMaxUrl) return Error("the URL is longer than 4096 bytes");
  return url;
}

}  // namespace curlingiron
