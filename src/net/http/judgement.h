// What the answers to the first and to later requests for one file mean, without I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "formats/http_head.h"

namespace curlingiron {

enum class FailureKind {
  Transient,    // may pass: try again
  Certificate,  // the server's certificate was not accepted
  Final,        // trying again cannot help
};

// How far a request came.
enum class HttpStage {
  Dns,      // the host's addresses are asked for
  Connect,  // to the server or the proxy, by TCP
  Tls,      // the handshake, and through a proxy the tunnel before it
  Http,     // the answer's head is waited for
  Body,     // it has come
};

struct HttpFailure {
  Error error;
  FailureKind kind = FailureKind::Transient;
  std::optional<Duration> retry_after;  // as the server asked
  HttpStage stage = HttpStage::Http;
  // The certificate is not valid before this, by our clock: seconds since the epoch.
  std::optional<int64_t> valid_from = std::nullopt;
  // The server, which proved itself, wants a certificate of the client that was not given.
  bool wants_client_certificate = false;
};

// What identifies the file that the first answer began: its length and validators.
struct HttpPin {
  std::optional<uint64_t> length;
  std::string etag;           // strong or weak; empty: none
  std::string last_modified;  // empty: none, or too young to prove anything
  std::string modified;       // Last-Modified as it came, however young

  // The value of If-Range: a strong entity tag, or the date; empty where nothing proves equality
  // of bytes (then the file is read again from its start).
  std::string if_range() const;
};

enum class HttpVerdict {
  Body,       // what follows are the bytes from the first one asked for on
  FromStart,  // what follows are the bytes from 0 on: compare what is known, then go on
  AtEnd,      // the first byte asked for is after the proven end
  Redirect,   // see Location
};

struct HttpJudgement {
  HttpVerdict verdict = HttpVerdict::Body;
  std::optional<HttpFailure> failure;  // set: the verdict does not count
};

// What a later request asked for.
struct HttpRun {
  uint64_t first = 0;
  std::optional<uint64_t> last;  // inclusive; absent: to the end
  uint64_t known = 0;            // bytes of the file that were read already: it is not shorter
  bool other_mirror = false;     // the pin is of another server: only the words differ
  bool open_end = false;         // HttpOptions::open_end
};

// The code of the failure of a server that has the file but does not serve it by ranges, or does
// not give its length.
inline constexpr int kNoRanges = 95;  // EOPNOTSUPP

// `subject` names the file in messages. `wall_clock` (seconds since the epoch) turns a Retry-After
// date into a duration. `open_end`: HttpOptions::open_end.
HttpJudgement judge_first(const HttpHead& head, bool open_end, const std::string& subject,
                          int64_t wall_clock);
HttpPin pin_of(const HttpHead& head);
// The answer has the validator that If-Range would have asked for.
bool proves_same(const HttpHead& head, const HttpPin& pin);

// The answer to a request for the bytes from run.first on, of which a server may also send all from
// the start, be it as a part (206) that is the whole. Learns a length that was unknown.
HttpJudgement judge_resumed(const HttpHead& head, HttpPin& pin, const HttpRun& run,
                            const std::string& subject, int64_t wall_clock);

// The answer to a request for run.first to run.last, which must be just these (or fewer) of a file
// whose length the answer has: learned where it was unknown. Where the file is empty: AtEnd.
HttpJudgement judge_range(const HttpHead& head, HttpPin& pin, const HttpRun& run,
                          const std::string& subject, int64_t wall_clock);

}  // namespace curlingiron
