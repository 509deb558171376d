// A download as a Source: libcurl underneath, resumed at the byte.
//
// A drop, a stall of kStall (no data, or less than kLowSpeed) or a reset resumes with Range +
// If-Range, pinned to the first answer's length and validator; a server without Range is read again
// from its start and the bytes already delivered are compared by digest. 5xx, 408, 425, 429, DNS
// and TCP failures are retried with jittered backoff until the deadline, or without end when there
// is none. 4xx, TLS verification failures and a changed image are errors at once; but a certificate
// that is refused when a download without deadline resumes is tried again: after the commit point
// nothing is lost by that.
//
// Each request goes over the path that HttpOptions::paths gives for it, and asks for the host's
// addresses anew after a failure; those of before serve where no name server answers any more. A
// connection that is made and then brings next to nothing is given up after first_bytes, and the
// next one made with smaller TCP segments, as long as that can help.
//
// Several mirrors of one file are tried in order, a round over all of them between two backoffs.
// What is an error at once for one of them excludes it, and only where none is left is it the
// download's; the error then names each mirror's own cause. A stream that breaks is resumed on the
// same mirror once, then on the next one, which must hold the same file: of the same length, and
// with the same strong ETag, or with the same kOverlap bytes before the position (where
// HttpOptions::digest_follows), or with the same whole beginning, read again.
//
// At most 10 redirects, to http and https only and never from https to http. Headers go to the
// hosts (and ports) of the URLs given, client certificate and pin too, credentials to their own
// URL's; answers with a Content-Encoding are refused, and those with neither length nor chunks, but
// for HttpOptions::open_end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/url.h"
#include "io/source.h"
#include "net/http/options.h"

namespace curlingiron {

class HttpTransfer;

class HttpSource final : public Source {
 public:
  // Returns when the first answer's headers are in and are good (200), or with the reason.
  // Transient failures are retried until `deadline`.
  static Result<std::unique_ptr<HttpSource>> open(std::vector<Url> mirrors,
                                                  const HttpOptions& options,
                                                  std::optional<Time> deadline);
  static Result<std::unique_ptr<HttpSource>> open(const Url& url, const HttpOptions& options,
                                                  std::optional<Time> deadline);
  ~HttpSource() override;

  Result<size_t> read(MutableBytes into) override;

  const HttpAnswer& answer() const;
  // nullopt: retries have no end (after the commit point). From any thread. When it passes, a read
  // that waits ends, and no more is fetched: a server that drips cannot outlast it.
  void set_deadline(std::optional<Time> deadline);
  // Bytes delivered so far, and resumptions so far; readable from another thread.
  uint64_t delivered() const;
  unsigned resumptions() const;

 private:
  explicit HttpSource(std::unique_ptr<HttpTransfer> transfer);
  std::unique_ptr<HttpTransfer> transfer_;
};

}  // namespace curlingiron
