// What a download over HTTP goes by, and what its first answer says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/units.h"
#include "formats/key_pin.h"
#include "formats/url.h"

namespace curlingiron {

class ClientCertificate;  // net/tls/client_certificate.h
class PathChooser;        // net/http/path.h
class TrustStore;         // net/tls/trust_store.h

// So long without a byte, or with less than kLowSpeed on average, is as good as a broken
// connection.
inline constexpr Duration kStall = std::chrono::seconds(30);
inline constexpr uint64_t kLowSpeed = 1_KiB;  // bytes per second
// A connection that is made but brings next to nothing may lose big packets on the way (RFC 2923):
// the next one asks for smaller ones, before kStall is over.
inline constexpr Duration kFirstBytes = std::chrono::seconds(4);
// Bytes before the position that another mirror must have alike.
inline constexpr size_t kOverlap = 64_KiB;

struct HttpOptions {
  std::shared_ptr<const TrustStore> trusted;  // null: no server is
  bool insecure = false;                      // no certificate check
  // When certificates must be valid, in seconds since the epoch; absent: by the clock.
  std::optional<int64_t> certificate_time;
  std::shared_ptr<const ClientCertificate> client_certificate;  // null: none
  std::optional<KeyPin> pinned_key;                             // of the server
  std::vector<std::string> headers;                             // each is_request_header(); secret
  std::optional<Url> proxy;                                     // spoken to by plain http
  // The paths to the servers, borrowed; null: as this machine is set up (system_path()).
  PathChooser* paths = nullptr;
  std::string user_agent = "curlingiron";
  // The caller compares a cryptographic digest of the whole at its end. Then kOverlap bytes that
  // are alike suffice to go on where no validator proves that the file is still the same.
  bool digest_follows = false;
  // An answer with neither length nor chunks is taken, as of HTTP/1.0 and of some proxies: where
  // the connection ends, the file ends, or was cut. The caller proves which
  // (HttpAnswer::marks_its_end).
  bool open_end = false;
  // Nobody asked for it by name: that it is not there, or comes badly, is nobody's concern.
  bool quiet = false;
  Duration stall = kStall;  // shorter in tests
  // So long is waited for the first bytes of a connection, where smaller packets may help.
  Duration first_bytes = kFirstBytes;
  Duration first_backoff = std::chrono::milliseconds(500);  // doubles with each round, to 8 s

  // Whether https servers have to prove who they are.
  bool servers_prove() const { return !insecure || pinned_key; }
};

enum class RangeSupport {
  Announced,  // Accept-Ranges: bytes, or an answer 206
  Unknown,    // nothing said
  None,       // Accept-Ranges: none
};

struct HttpAnswer {
  std::optional<uint64_t> length;  // bytes of the whole file; absent: chunked, or not known
  bool marks_its_end = true;       // false: the connection's end is taken for the file's
  std::string content_type;
  std::optional<int64_t> date;  // the Date header, seconds since the epoch
  std::string effective_url;    // after redirects, fit for messages (no credentials)
  std::string tls;              // "TLSv1.3", empty for http
  RangeSupport ranges = RangeSupport::Unknown;
};

}  // namespace curlingiron
