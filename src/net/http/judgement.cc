#include "net/http/judgement.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_transient(unsigned status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

std::string_view next_step(unsigned status) {
  switch (status) {
    case 401:
    case 403: return "; check the credentials (header=) and the permissions on the server";
    case 404:
    case 410: return "; check the URL";
    case 407: return "; check the proxy's credentials";
    default: return "; check the URL and the server";
  }
}

HttpJudgement fail(FailureKind kind, std::string message) {
  return {HttpVerdict::Body, HttpFailure{Error(std::move(message)), kind, std::nullopt}};
}

HttpJudgement changed(const std::string& subject, const HttpRun& run, std::string_view what,
                      std::string_view before, std::string_view after) {
  if (run.other_mirror) {
    return fail(FailureKind::Final,
                concat(subject, ": this mirror holds another file (", what, ' ',
                       printable(after, 60), " and not ", printable(before, 60), ')'));
  }
  return fail(FailureKind::Final,
              concat(subject, ": the image changed on the server while it was read (", what, ' ',
                     printable(before, 60), " is now ", printable(after, 60), "); start again"));
}

std::string length_text(const std::optional<uint64_t>& length) {
  return length ? concat(*length) : "unknown";
}

// Statuses that are no answer with bytes of the file.
std::optional<HttpJudgement> judge_status(const HttpHead& head, const std::string& subject,
                                          int64_t wall_clock) {
  if (is_redirect(head.status)) {
    if (!head.location.empty()) return HttpJudgement{HttpVerdict::Redirect, std::nullopt};
    return fail(FailureKind::Final,
                concat(subject, ": ", head.status, " redirects to nowhere; check the URL"));
  }
  if (head.status >= 200 && head.status < 300) return std::nullopt;
  HttpFailure failure{Error(concat(subject, ": ", head.status, head.reason.empty() ? "" : " ",
                                   head.reason, next_step(head.status))),
                      is_transient(head.status) ? FailureKind::Transient : FailureKind::Final,
                      std::nullopt};
  if (!head.retry_after.empty()) {
    Result<Duration> wait = parse_retry_after(head.retry_after, wall_clock);
    if (wait.ok()) failure.retry_after = wait.value();
  }
  return HttpJudgement{HttpVerdict::Body, std::move(failure)};
}

std::optional<HttpJudgement> judge_body_form(const HttpHead& head, bool open_end,
                                             const std::string& subject) {
  if (!head.content_encoding.empty()) {
    return fail(FailureKind::Final,
                concat(subject, ": the server encodes the file (Content-Encoding: ",
                       head.content_encoding, ") though it was not asked to; turn that off there"));
  }
  if (!head.length && !head.chunked && !open_end) {
    return fail(FailureKind::Final,
                concat(subject,
                       ": the server sends neither a length nor chunks, so that a cut "
                       "would look like the end; serve it with Content-Length"));
  }
  return std::nullopt;
}

// A date proves equality only where it is older than the answer (RFC 9110 section 8.8.2.2): a file
// may change twice within a second.
bool date_proves(const HttpHead& head) {
  if (!head.date || head.last_modified.empty()) return false;
  Result<int64_t> modified = parse_http_date(head.last_modified);
  return modified.ok() && modified.value() < *head.date;
}

// A validator that is not the pin's.
std::optional<HttpJudgement> judge_validators(const HttpHead& head, const HttpPin& pin,
                                              const HttpRun& run, const std::string& subject) {
  if (!pin.etag.empty() && !head.etag.empty() && pin.etag != head.etag) {
    return changed(subject, run, "ETag", pin.etag, head.etag);
  }
  bool same_tag = !pin.etag.empty() && pin.etag == head.etag;
  if (!same_tag && !pin.last_modified.empty() && !head.last_modified.empty() &&
      pin.last_modified != head.last_modified) {
    return changed(subject, run, "Last-Modified", pin.last_modified, head.last_modified);
  }
  return std::nullopt;
}

// An answer 206 that has all of the file though less was asked for.
bool is_whole(const HttpHead& head, const HttpRun& run) {
  if (head.status != 206 || run.first == 0 || run.last || !head.range || !head.range->span) {
    return false;
  }
  const ContentRange::Span& span = *head.range->span;
  if (head.length && *head.length != span.last - span.first + 1) return false;
  return span.first == 0 && head.range->length && *head.range->length == span.last + 1;
}

// An answer 206, whose body must begin where it was asked to. Learns the length.
std::optional<HttpJudgement> judge_partial(const HttpHead& head, HttpPin& pin, const HttpRun& run,
                                           const std::string& subject) {
  if (!head.range || !head.range->span) {
    return fail(FailureKind::Final, concat(subject, ": the server resumes without Content-Range"));
  }
  const ContentRange::Span& span = *head.range->span;
  if (span.first != run.first) {
    return fail(FailureKind::Final,
                concat(subject, ": the server resumed at byte ", span.first, " instead of ",
                       run.first, "; it cannot be trusted with Range"));
  }
  const std::optional<uint64_t>& whole = head.range->length;
  if (pin.length && whole && *pin.length != *whole) {
    return changed(subject, run, "length", length_text(pin.length), length_text(whole));
  }
  if (head.length && *head.length != span.last - span.first + 1) {
    return fail(FailureKind::Final,
                concat(subject, ": Content-Length and Content-Range of the server disagree"));
  }
  if (pin.length && span.last >= *pin.length) {
    return changed(subject, run, "length", length_text(pin.length),
                   concat("at least ", span.last + 1));
  }
  if (whole && (*whole < run.known || *whole <= span.last)) {
    return changed(subject, run, "length", concat("at least ", std::max(run.known, span.last + 1)),
                   length_text(whole));
  }
  if (!pin.length) pin.length = whole;
  return std::nullopt;
}

}  // namespace

std::string HttpPin::if_range() const { return is_strong_entity_tag(etag) ? etag : last_modified; }

HttpPin pin_of(const HttpHead& head) {
  HttpPin pin;
  pin.length = head.length;
  pin.etag = head.etag.size() <= 1024 ? head.etag : "";
  pin.modified = head.last_modified;
  if (date_proves(head)) pin.last_modified = head.last_modified;
  return pin;
}

bool proves_same(const HttpHead& head, const HttpPin& pin) {
  if (is_strong_entity_tag(pin.etag)) return head.etag == pin.etag;
  return !pin.last_modified.empty() && head.last_modified == pin.last_modified;
}

HttpJudgement judge_first(const HttpHead& head, bool open_end, const std::string& subject,
                          int64_t wall_clock) {
  if (auto judged = judge_status(head, subject, wall_clock)) return *judged;
  if (head.status != 200) {
    return fail(FailureKind::Final, concat(subject, ": unexpected answer ", head.status, ' ',
                                           head.reason, next_step(head.status)));
  }
  if (auto judged = judge_body_form(head, open_end, subject)) return *judged;
  return {};
}

HttpJudgement judge_resumed(const HttpHead& head, HttpPin& pin, const HttpRun& run,
                            const std::string& subject, int64_t wall_clock) {
  // "Not satisfiable" at the position where the file ends: only the end mark was missing.
  if (head.status == 416 && head.range && head.range->length && !head.range->span) {
    bool at_end = *head.range->length == run.first && run.first == run.known;
    if (at_end && !pin.length) return {HttpVerdict::AtEnd, std::nullopt};
    return changed(subject, run, "length", length_text(pin.length),
                   length_text(head.range->length));
  }
  if (auto judged = judge_status(head, subject, wall_clock)) return *judged;
  if (head.status != 200 && head.status != 206) {
    return fail(FailureKind::Final, concat(subject, ": unexpected answer ", head.status, ' ',
                                           head.reason, " when resuming"));
  }
  if (auto judged = judge_body_form(head, run.open_end, subject)) return *judged;
  if (auto judged = judge_validators(head, pin, run, subject)) return *judged;

  if (head.status == 200 || is_whole(head, run)) {
    std::optional<uint64_t> length = head.status == 200 ? head.length : head.range->length;
    if (pin.length && length && *pin.length != *length) {
      return changed(subject, run, "length", length_text(pin.length), length_text(length));
    }
    if (length && *length < run.known) {
      return changed(subject, run, "length", concat("at least ", run.known), length_text(length));
    }
    if (!pin.length) pin.length = length;
    return {HttpVerdict::FromStart, std::nullopt};
  }

  if (auto judged = judge_partial(head, pin, run, subject)) return *judged;
  // A server may send less than was asked for: then the end comes early, and the rest is asked for
  // again. Without a known length that end would look like the file's.
  if (!pin.length) {
    return fail(FailureKind::Final,
                concat(subject, ": the server resumes without telling the file's length"));
  }
  return {HttpVerdict::Body, std::nullopt};
}

HttpJudgement judge_range(const HttpHead& head, HttpPin& pin, const HttpRun& run,
                          const std::string& subject, int64_t wall_clock) {
  auto no_ranges = [&](std::string_view why) {
    return HttpJudgement{HttpVerdict::Body,
                         HttpFailure{Error(concat(subject, ": ", why), kNoRanges),
                                     FailureKind::Final, std::nullopt}};
  };
  if (head.status == 416 && head.range && head.range->length && !head.range->span) {
    if (*head.range->length == 0 && run.first == 0 && pin.length.value_or(0) == 0) {
      pin.length = 0;
      return {HttpVerdict::AtEnd, std::nullopt};
    }
    return changed(subject, run, "length", length_text(pin.length),
                   length_text(head.range->length));
  }
  if (auto judged = judge_status(head, subject, wall_clock)) return *judged;
  if (auto judged = judge_validators(head, pin, run, subject)) return *judged;
  if (head.status == 200) {
    if (pin.length && head.length && *pin.length != *head.length) {
      return changed(subject, run, "length", length_text(pin.length), length_text(head.length));
    }
    return no_ranges("the server does not serve parts of the file (Range)");
  }
  if (head.status != 206) {
    return fail(FailureKind::Final, concat(subject, ": unexpected answer ", head.status, ' ',
                                           head.reason, next_step(head.status)));
  }
  if (auto judged = judge_body_form(head, false, subject)) return *judged;
  // No date proves anything here: what was answered must be answered again.
  if (!is_strong_entity_tag(pin.etag) && pin.modified != head.last_modified &&
      !pin.modified.empty()) {
    return changed(subject, run, "Last-Modified", pin.modified, head.last_modified);
  }
  if (auto judged = judge_partial(head, pin, run, subject)) return *judged;
  if (!pin.length) return no_ranges("the server does not give the file's length with its parts");
  if (run.last && head.range->span->last > *run.last) {
    return fail(FailureKind::Final,
                concat(subject, ": the server sends more than the part that was asked for"));
  }
  return {HttpVerdict::Body, std::nullopt};
}

}  // namespace curlingiron
