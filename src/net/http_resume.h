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

struct HttpFailure {
  Error error;
  FailureKind kind = FailureKind::Transient;
  std::optional<Duration> retry_after;  // as the server asked
};

// What identifies the file that the first answer began: its length and validators.
struct HttpPin {
  std::optional<uint64_t> length;
  std::string etag;           // strong or weak; empty: none
  std::string last_modified;  // empty: none, or too young to prove anything

  // The value of If-Range: a strong entity tag, or the date; empty where nothing proves equality
  // of bytes (then the file is read again from its start).
  std::string if_range() const;
};

enum class HttpVerdict {
  Body,       // what follows are the bytes from the position asked for on
  FromStart,  // what follows are the bytes from 0 on: compare what is known, then go on
  AtEnd,      // the position asked for is the proven end
  Redirect,   // see Location
};

struct HttpJudgement {
  HttpVerdict verdict = HttpVerdict::Body;
  std::optional<HttpFailure> failure;  // set: the verdict does not count
};

// `subject` names the file in messages. `wall_clock` (seconds since the epoch) turns a Retry-After
// date into a duration.
HttpJudgement judge_first(const HttpHead& head, const std::string& subject, int64_t wall_clock);
HttpPin pin_of(const HttpHead& head);

// The answer to a request for the bytes from `position` on. Learns a length that was unknown.
HttpJudgement judge_resumed(const HttpHead& head, HttpPin& pin, uint64_t position,
                            const std::string& subject, int64_t wall_clock);

}  // namespace curlingiron
