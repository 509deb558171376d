// A download as a Source: libcurl underneath, resumed at the byte.
//
// A drop, a stall of kStall or a reset resumes with Range + If-Range, pinned to the first answer's
// length and validator; a server without Range is read again from its start and the bytes already
// delivered are compared by digest. 5xx, 408, 425, 429, DNS and TCP failures are retried with
// jittered backoff until the deadline, or without end when there is none. 4xx, TLS verification
// failures and a changed image are errors at once; but a certificate that is refused when a
// download without deadline resumes is tried again: behind the commit point nothing is lost by
// that.
//
// At most 10 redirects, to http and https only and never from https to http. Headers and
// credentials go to the URL's own host (and port) only; answers with a Content-Encoding, or with
// neither length nor chunks, are refused.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "io/source.h"

namespace curlingiron {

inline constexpr Duration kStall = std::chrono::seconds(30);

struct HttpOptions {
  std::string ca_file;               // PEM bundle; empty: none is trusted
  bool insecure = false;             // no certificate check
  std::vector<std::string> headers;  // "Name: value", secret; not sent to another host on redirect
  std::string proxy;
  std::vector<std::string> nameservers;  // empty: /etc/resolv.conf
  std::string user_agent = "curlingiron";
  Duration stall = kStall;                                  // shorter in tests
  Duration first_backoff = std::chrono::milliseconds(500);  // doubles with each failure, to 8 s
};

struct HttpAnswer {
  std::optional<uint64_t> length;  // bytes of the whole file; absent: chunked
  std::string content_type;
  std::optional<int64_t> date;  // the Date header, seconds since the epoch
  std::string effective_url;    // after redirects, fit for messages (no credentials)
  std::string tls;              // "TLSv1.3", empty for http
};

class HttpSource final : public Source {
 public:
  // Returns when the first answer's headers are in and are good (200), or with the reason.
  // Transient failures are retried until `deadline`.
  static Result<std::unique_ptr<HttpSource>> open(const Url& url, const HttpOptions& options,
                                                  std::optional<Time> deadline);
  ~HttpSource() override;

  Result<size_t> read(MutableBytes into) override;

  const HttpAnswer& answer() const;
  // nullopt: retries have no end (after the commit point). From any thread; a time that is past
  // ends a read that waits.
  void set_deadline(std::optional<Time> deadline);
  // Bytes delivered so far, and resumptions so far; readable from another thread.
  uint64_t delivered() const;
  unsigned resumptions() const;

 private:
  struct State;
  explicit HttpSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
