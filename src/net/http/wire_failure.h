// Why a request failed on its way to the server or back: what curl, TLS and the kernel report, in
// words for the person who has to act on it. A function of its arguments, without I/O.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "net/http/exchange.h"
#include "net/http/judgement.h"
#include "net/http/options.h"
#include "net/tls/policy.h"

namespace curlingiron {

// How far a request came.
struct WireProgress {
  bool began = false;            // curl has begun to work on it
  bool made_connection = false;  // and not used one that was there
  bool tls_began = false;        // TCP is connected, TLS has begun
  bool has_head = false;         // its receiver has the head
};

// A request at its end. What is pointed to outlives it.
struct WireEnd {
  const HttpOptions& options;
  const HttpAsk& ask;
  const TlsVerdict& verdict;
  WireProgress progress;
  HttpStage stage = HttpStage::Dns;
  bool proven = false;  // the server proved itself, or did not have to
  const Error* dns_error = nullptr;
  const Error* socket_error = nullptr;
  CURLcode code = CURLE_OK;
  std::string_view curl_error;   // curl's own words, which may quote the server; or empty
  int os_error = 0;              // errno of connect(); 0: none
  long proxy_status = 0;         // the proxy's answer to CONNECT; 0: none
  Duration connect_patience{0};  // what TCP and TLS had
};

// The one whom a connection is made to: the proxy where there is one.
const Url& peer_of(const HttpOptions& options, const HttpAsk& ask);
std::string peer_name_of(const HttpOptions& options, const HttpAsk& ask);

// `position`: the byte of the file that was wanted next, named where the connection broke.
HttpFailure explain(const WireEnd& end, uint64_t position);

// A server that wanted a certificate may say so by its status, or by hanging up: "; …", or empty.
std::string client_certificate_hint(const HttpOptions& options, const HttpAsk& ask,
                                    const TlsVerdict& verdict);

}  // namespace curlingiron
