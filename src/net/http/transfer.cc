#include "net/http/transfer.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

constexpr size_t kBuffer = 1_MiB;  // what arrived beyond the reader's own buffer
constexpr Duration kLongestBackoff = 8s;
constexpr Duration kLongestRetryAfter = 60s;
constexpr Duration kLongestPoll = 1s;
constexpr unsigned kMaxRedirects = 10;

// May see the headers and credentials that were given for `trusted`.
bool same_origin(const Url& trusted, const Url& url) {
  if (trusted.host != url.host) return false;
  if (trusted.scheme == url.scheme) return trusted.port == url.port;
  // From http to https on the standard ports: the same site, only safer.
  return trusted.scheme == UrlScheme::Http && trusted.port == 80 && url.port == 443;
}

HttpFailure final_failure(std::string message) {
  return {Error(std::move(message)), FailureKind::Final, std::nullopt};
}
HttpFailure transient_failure(std::string message) {
  return {Error(std::move(message)), FailureKind::Transient, std::nullopt};
}

bool same_nic(const HttpPath& a, const HttpPath& b) {
  return a.interface == b.interface && a.family == b.family;
}

bool is_web_page(const HttpHead& head) {
  return to_lower(head.content_type).starts_with("text/html");
}

}  // namespace

// --- the last bytes of a stream

void HttpTransfer::Tail::add(uint64_t at, ConstBytes bytes) {
  if (bytes.size() > ring_.size()) {
    at += bytes.size() - ring_.size();
    bytes = bytes.last(ring_.size());
  }
  while (!bytes.empty()) {
    auto start = static_cast<size_t>(at % ring_.size());
    size_t count = std::min(bytes.size(), ring_.size() - start);
    std::memcpy(ring_.data() + start, bytes.data(), count);
    bytes = bytes.subspan(count);
    at += count;
  }
}

std::optional<uint64_t> HttpTransfer::Tail::differs(uint64_t at, ConstBytes bytes) const {
  for (uint8_t byte : bytes) {
    if (ring_[static_cast<size_t>(at % ring_.size())] != byte) return at;
    ++at;
  }
  return std::nullopt;
}

// --- the transfer as a whole

HttpTransfer::HttpTransfer(std::vector<Url> mirrors, const HttpOptions& options, HttpMode mode)
    : options_(options), mode_(mode), buffer_(kBuffer) {
  for (Url& url : mirrors) {
    mirrors_.emplace_back();
    mirrors_.back().url = std::move(url);
  }
}

HttpTransfer::~HttpTransfer() = default;

Result<std::unique_ptr<HttpTransfer>> HttpTransfer::create(std::vector<Url> mirrors,
                                                           const HttpOptions& options,
                                                           HttpMode mode) {
  std::unique_ptr<HttpTransfer> transfer(new HttpTransfer(std::move(mirrors), options, mode));
  TRY(transfer->prepare());
  return transfer;
}

Result<void> HttpTransfer::prepare() {
  if (mirrors_.empty()) return Error("no URL to download from");
  for (const Mirror& each : mirrors_) {
    bool secure = each.url.scheme == UrlScheme::Https;
    if (secure && !options_.insecure && options_.ca_file.empty()) {
      return Error(
          concat(each.url.host, ": no CA certificates to verify with; pass --ca FILE (ca=)"));
    }
    if (!secure && options_.pinned_key) {
      return Error(
          concat(each.url.display(), ": a pinned key proves nothing over http; use https"));
    }
  }
  wire_ = TRY(HttpWire::create(options_));
  return {};
}

Result<void> HttpTransfer::open() {
  if (mode_ == HttpMode::Stream) return pump_until_progress();
  // The first request's bytes are kept: run_end_ becomes shorter where the file is.
  run_end_ = kFileHead;
  ByteVector chunk(kFileHead);
  while (TRY(read(chunk)) > 0) {
  }
  file_head_complete_ = true;
  delivered_ = 0;
  return {};
}

std::optional<Time> HttpTransfer::current_deadline() const {
  int64_t nanoseconds = deadline_.load();
  if (nanoseconds == kNoDeadline) return std::nullopt;
  return Time(Duration(nanoseconds));
}

bool HttpTransfer::deadline_passed() const {
  std::optional<Time> limit = current_deadline();
  return limit && now() >= *limit;
}

void HttpTransfer::set_deadline(std::optional<Time> deadline) {
  deadline_ = deadline ? deadline->time_since_epoch().count() : kNoDeadline;
  wire_->wake();
}

void HttpTransfer::seek(uint64_t first, uint64_t end) {
  // An answer that has ended leaves its connection to the next request.
  wire_->drop();
  buffer_begin_ = buffer_end_ = 0;
  position_ = given_ = first;
  run_end_ = end;
  ended_ = false;
}

Result<size_t> HttpTransfer::read(MutableBytes into) {
  size_t waiting = buffer_end_ - buffer_begin_;
  if (waiting > 0) {
    size_t count = std::min(waiting, into.size());
    std::memcpy(into.data(), buffer_.data() + buffer_begin_, count);
    buffer_begin_ += count;
    if (buffer_begin_ == buffer_end_) buffer_begin_ = buffer_end_ = 0;
    given_ += count;
    delivered_ += count;
    return count;
  }
  if (broken_) return *broken_;
  if (ended_) return size_t{0};
  reader_space_ = into;
  reader_filled_ = 0;
  stalls_.resume(now());
  Result<void> pumped = pump_until_progress();
  size_t count = std::exchange(reader_filled_, 0);
  reader_space_ = {};
  if (!pumped.ok()) {
    wire_->drop();
    broken_ = pumped.error();
    return *broken_;
  }
  given_ += count;
  delivered_ += count;
  return count;
}

// Until a byte is there, or the end is proven; without a reader, until the first answer is good.
Result<void> HttpTransfer::pump_until_progress() {
  bool had_opened = opened_;
  for (;;) {
    // Asked before the bytes are, or a server that drips would never let it pass.
    if (deadline_passed()) {
      bool told = std::any_of(mirrors_.begin(), mirrors_.end(),
                              [](const Mirror& each) { return each.cause.has_value(); });
      if (told) return all_causes();
      return Error(concat(mirror().url.host,
                          opened_ ? concat(": the deadline passed at byte ", position_)
                                  : std::string(": no answer before the deadline"),
                          "; check the server"));
    }
    std::optional<HttpFailure> failed = step();
    if (reader_filled_ > 0 || ended_) break;
    if (!had_opened && opened_ && !failed && reader_space_.empty()) break;
    if (failed) TRY(recover(std::move(*failed)));
  }
  // In a stream nothing more is wanted; between runs the connection is kept.
  if (ended_ && mode_ == HttpMode::Stream) wire_->drop();
  return {};
}

// --- one request

HttpTransfer::Plan HttpTransfer::next_plan() const {
  const Mirror& from = mirror();
  Plan plan;
  if (mode_ == HttpMode::Ranges) {
    if (from.known) return {Proof::Validator, position_, run_end_ - 1, from.pin.if_range()};
    // In a file of which nothing was read yet, nothing needs proof.
    if (file_head_.empty()) return {Proof::None, 0, kFileHead - 1, ""};
    return {Proof::Head, 0, file_head_.size() - 1, ""};
  }
  if (position_ == 0) return plan;
  plan.first = position_;
  plan.proof = Proof::Validator;
  plan.if_range = from.pin.if_range();
  if (from.known && !plan.if_range.empty()) return plan;
  if (tail_) {
    plan.proof = Proof::Overlap;
    plan.first = position_ - std::min<uint64_t>(position_, kOverlap);
    plan.if_range.clear();
    return plan;
  }
  plan.if_range = pin_.etag;
  if (!from.known && !from.ignores_if_range && is_strong_entity_tag(pin_.etag)) return plan;
  return Plan{Proof::Reread, 0, std::nullopt, ""};
}

// The request for what is missing, from the start of the redirects.
std::optional<HttpFailure> HttpTransfer::begin_next_request() {
  redirects_ = 0;
  // First where the redirects led to: another host may hold another copy. Then, as that may have
  // been a URL for a short time, the URL itself.
  via_shortcut_ =
      opened_ && mirror().final_url &&
      (mode_ == HttpMode::Ranges ? mirror().failures % 2 == 0 : mirror().failures % 2 == 1);
  request_url_ = via_shortcut_ ? *mirror().final_url : mirror().url;
  return start_request();
}

std::optional<HttpFailure> HttpTransfer::start_request() {
  plan_ = next_plan();
  head_ = HttpHead();
  verdict_.reset();
  failure_.reset();
  unproven_ = false;
  compared_ = plan_.first;
  compared_digest_.emplace();
  answer_left_ = kUnknownEnd;
  fetched_before_ = fetched_;
  asked_for_ways_ = false;
  waited_ = Duration(0);

  HttpAsk ask;
  ask.trusted = same_origin(mirror().url, request_url_);
  ask.url = request_url_;
  if (ask.trusted && ask.url.user_info.empty()) ask.url.user_info = mirror().url.user_info;
  if (plan_.last) {
    ask.range = concat("bytes=", plan_.first, '-', *plan_.last);
  } else if (plan_.first > 0 || plan_.proof == Proof::Overlap) {
    ask.range = concat("bytes=", plan_.first, '-');
  }
  ask.if_range = plan_.if_range;
  path_ = options_.paths != nullptr ? options_.paths->path() : system_path();
  bool limited = path_.max_segment != 0 && path_.max_segment <= max_segment_;
  if (max_segment_ != 0 && !limited) path_.max_segment = max_segment_;
  Result<void> sent = wire_->send(ask, path_, fresh_, *this);
  stalls_.begin(*wire_, now());
  arrived_at_window_ = wire_->arrived();
  if (!sent.ok()) return HttpFailure{sent.error(), FailureKind::Final, std::nullopt};
  return std::nullopt;
}

HttpReceiver::Taken HttpTransfer::stop(HttpFailure failure) {
  failure_ = std::move(failure);
  return Taken::Stop;
}

HttpJudgement HttpTransfer::judge(const HttpHead& head) {
  std::string subject = request_url_.display();
  int64_t clock = wall_clock_seconds();
  const Mirror& from = mirror();
  request_pin_ = from.known ? from.pin : HttpPin();
  request_pin_.length = pin_.length;
  HttpRun run{plan_.first, plan_.last, mode_ == HttpMode::Stream ? position_ : 0,
              opened_ && !from.known};
  if (mode_ == HttpMode::Ranges) return judge_range(head, request_pin_, run, subject, clock);
  // Nothing was received yet: this is as good as the first answer, but it must be the same file.
  if (opened_) return judge_resumed(head, request_pin_, run, subject, clock);
  return judge_first(head, subject, clock);
}

HttpReceiver::Taken HttpTransfer::on_head(const Result<HttpHead>& answered) {
  if (!answered.ok()) {
    return stop(
        {answered.error().with_context(request_url_.display()), FailureKind::Final, std::nullopt});
  }
  head_ = answered.value();
  HttpJudgement judged = judge(head_);
  if (judged.failure) {
    // The hint is worth something only where the server refuses.
    std::string hint = head_.status >= 400 && head_.status < 500 ? wire_->certificate_hint() : "";
    if (!hint.empty()) {
      judged.failure->error = Error(concat(judged.failure->error.message(), hint));
    }
    return stop(std::move(*judged.failure));
  }
  verdict_ = judged.verdict;
  if (*verdict_ == HttpVerdict::Redirect) return Taken::All;
  // A page that says "file not found" with a good status: another mirror may have the file.
  bool others = std::any_of(mirrors_.begin(), mirrors_.end(), [&](const Mirror& each) {
    return &each != &mirror() && !each.excluded;
  });
  if (!opened_ && others && is_web_page(head_)) {
    return stop(final_failure(concat(request_url_.display(),
                                     ": sends a web page (text/html), not an image; check the "
                                     "URL")));
  }
  if (*verdict_ == HttpVerdict::FromStart) {
    compared_ = 0;
    if (position_ > 0 && !digest_ && !options_.digest_follows && !proves_same(head_, pin_)) {
      return stop(final_failure(
          concat(request_url_.display(),
                 ": the server sends the whole file instead of the rest, and no longer tells what "
                 "proves it to be the same; start again")));
    }
  }
  if (head_.status == 206) {
    answer_left_ = head_.range->span->last - head_.range->span->first + 1;
    // The server sent the part whether the ETag is the same or not.
    bool asked_for_tag = !mirror().known && plan_.proof == Proof::Validator;
    if (asked_for_tag && head_.etag != plan_.if_range) {
      unproven_ = true;
      mirror().ignores_if_range = true;
      return Taken::Stop;
    }
  }
  told_length_ = request_pin_.length;
  if (!opened_ && mode_ == HttpMode::Stream) told_length_ = head_.length;
  request_pin_ = pin_of(head_);
  request_pin_.length.reset();
  if (plan_.proof == Proof::Head && !options_.digest_follows &&
      (!is_strong_entity_tag(pin_.etag) || pin_.etag != head_.etag)) {
    return stop(final_failure(concat(request_url_.display(),
                                     ": nothing proves that this mirror holds the same file (no "
                                     "ETag in common)")));
  }
  if (!opened_) {
    first_answer(head_);
  } else if (fresh_) {
    ++resumptions_;
    bool again = *verdict_ == HttpVerdict::FromStart && position_ > 0;
    log_info(concat(request_url_.display(), ": resumed at byte ", position_,
                    again ? ", by reading again from the start" : ""));
  }
  fresh_ = false;
  waited_ = Duration(0);
  arrived_at_window_ = wire_->arrived();
  if (redirects_ > 0) mirror().final_url = request_url_;
  bool nothing_to_compare = compared_ >= compared_until();
  if (nothing_to_compare) mirror_is_proven();
  if (*verdict_ == HttpVerdict::AtEnd) {
    if (mode_ == HttpMode::Stream) run_end_ = position_;
    ended_ = true;
  }
  if (at_end() && nothing_to_compare) ended_ = true;
  return Taken::All;
}

void HttpTransfer::first_answer(const HttpHead& head) {
  opened_ = true;
  pin_ = request_pin_;
  pin_.length = told_length_;
  answer_.length = told_length_;
  answer_.content_type = head.content_type;
  answer_.date = head.date;
  answer_.effective_url = request_url_.display();
  answer_.tls = wire_->tls_version();
  if (head.status == 206 || head.accept_ranges.find("bytes") != std::string::npos) {
    answer_.ranges = RangeSupport::Told;
  } else if (head.accept_ranges == "none") {
    answer_.ranges = RangeSupport::None;
  }
  if (mode_ == HttpMode::Ranges) run_end_ = std::min<uint64_t>(kFileHead, *told_length_);
  // Hashing and copying cost as much as receiving: only where a comparison may be asked for. From
  // one server that resumes, a validator proves whatever may come.
  bool proven = mirrors_.size() == 1 && !pin_.if_range().empty();
  if (mode_ == HttpMode::Stream) {
    if (options_.digest_follows && !proven) tail_.emplace();
    if (!options_.digest_follows && (!proven || answer_.ranges != RangeSupport::Told)) {
      digest_.emplace();
    }
  }
  say_what_a_drop_means();
}

// Better known before it happens.
void HttpTransfer::say_what_a_drop_means() const {
  std::string subject = request_url_.display();
  if (mode_ == HttpMode::Ranges) {
    if (!is_strong_entity_tag(pin_.etag) && pin_.etag.empty() && pin_.modified.empty()) {
      log_warning(concat(subject,
                         ": the server gives neither ETag nor Last-Modified; a change of the file "
                         "while it is read shows only in its length"));
    }
    return;
  }
  std::string_view last_sentence =
      "; if the connection drops, the download is read again from its start and compared";
  if (answer_.ranges == RangeSupport::None) {
    log_warning(concat(subject,
                       ": the server does not serve parts of the file (Accept-Ranges: none)",
                       last_sentence));
  } else if (pin_.if_range().empty() && !tail_) {
    log_info(concat(subject,
                    ": the server gives no strong ETag and no old Last-Modified, so that nothing "
                    "proves a part to be of the same file",
                    last_sentence));
  } else if (answer_.ranges == RangeSupport::Unknown) {
    log_info(concat(subject,
                    ": the server does not say that it serves parts of the file (no "
                    "Accept-Ranges); if it does not, a drop means reading again from the start"));
  }
}

void HttpTransfer::mirror_is_proven() {
  mirror().known = true;
  mirror().pin = request_pin_;
  if (!told_length_) return;
  pin_.length = told_length_;
  if (mode_ == HttpMode::Stream) run_end_ = *told_length_;
}

// The position up to which the answer brings known bytes, which are compared.
uint64_t HttpTransfer::compared_until() const {
  if (plan_.proof == Proof::Head) return file_head_.size();
  return mode_ == HttpMode::Stream ? position_ : compared_;
}

// Bytes at compared_, all of which are known.
std::optional<Error> HttpTransfer::compare_known(ConstBytes bytes) {
  std::optional<uint64_t> other;
  if (plan_.proof == Proof::Head) {
    for (size_t i = 0; i < bytes.size() && !other; ++i) {
      if (file_head_[static_cast<size_t>(compared_) + i] != bytes[i]) other = compared_ + i;
    }
  } else if (tail_ && compared_ + bytes.size() + kOverlap > position_) {
    // Of a whole that is read again the end is in the tail, too.
    uint64_t kept = position_ - std::min<uint64_t>(position_, kOverlap);
    uint64_t from = std::max(compared_, kept);
    other = tail_->differs(from, bytes.subspan(static_cast<size_t>(from - compared_)));
  }
  if (*verdict_ == HttpVerdict::FromStart && digest_) compared_digest_->update(bytes);
  compared_ += bytes.size();
  std::string subject = request_url_.display();
  std::string where;
  if (other) {
    where = concat("byte ", *other, " differs");
  } else if (*verdict_ == HttpVerdict::FromStart && compared_ == position_ && digest_ &&
             compared_digest_->value() != digest_->value()) {
    where = concat("its first ", position_, " bytes differ");
  } else {
    return std::nullopt;
  }
  if (!mirror().known) {
    return Error(
        concat(subject, ": this mirror holds another file of the same length (", where, ')'));
  }
  return Error(concat(subject, ": the image changed on the server while it was read (", where,
                      "); start again"));
}

HttpReceiver::Taken HttpTransfer::on_body(ConstBytes bytes) {
  if (!verdict_ || *verdict_ == HttpVerdict::Redirect || *verdict_ == HttpVerdict::AtEnd) {
    return Taken::All;
  }
  uint64_t to_compare = compared_until() - std::min(compared_, compared_until());
  auto known = static_cast<size_t>(std::min<uint64_t>(to_compare, bytes.size()));
  ConstBytes fresh = bytes.subspan(known);
  if (fresh.size() > room()) return Taken::Nothing;
  bool too_many =
      bytes.size() > answer_left_ ||
      (plan_.proof == Proof::Head ? !fresh.empty() : fresh.size() > run_end_ - position_);
  if (too_many) {
    return stop(final_failure(
        concat(request_url_.display(), ": the server sends more bytes than it told")));
  }
  if (answer_left_ != kUnknownEnd) answer_left_ -= bytes.size();
  if (known > 0) {
    if (auto differs = compare_known(bytes.first(known))) {
      return stop({std::move(*differs), FailureKind::Final, std::nullopt});
    }
    if (compared_ == compared_until()) {
      mirror_is_proven();
      if (at_end() && plan_.proof != Proof::Head) ended_ = true;
    }
  }
  if (!fresh.empty()) store(fresh);
  return Taken::All;
}

void HttpTransfer::store(ConstBytes bytes) {
  if (fetched_ == fetched_before_) served_by_ = path_;
  if (mode_ == HttpMode::Stream) {
    if (digest_) digest_->update(bytes);
    if (tail_) tail_->add(position_, bytes);
  } else if (!file_head_complete_) {
    file_head_.insert(file_head_.end(), bytes.begin(), bytes.end());
  }
  mirror().cause.reset();  // overcome
  position_ += bytes.size();
  fetched_ += bytes.size();
  if (mode_ == HttpMode::Stream) compared_ = position_;
  size_t direct = std::min(bytes.size(), reader_space_.size() - reader_filled_);
  if (direct > 0) std::memcpy(reader_space_.data() + reader_filled_, bytes.data(), direct);
  reader_filled_ += direct;
  bytes = bytes.subspan(direct);
  if (!bytes.empty()) std::memcpy(buffer_.data() + buffer_end_, bytes.data(), bytes.size());
  buffer_end_ += bytes.size();
  if (at_end()) ended_ = true;
}

std::optional<HttpFailure> HttpTransfer::follow_redirect() {
  auto refuse = [&](std::string_view why) {
    return final_failure(concat(request_url_.display(), ": ", why));
  };
  if (++redirects_ > kMaxRedirects) return refuse("more than 10 redirects; check the URL");
  Result<Url> next = resolve_reference(request_url_, head_.location);
  if (!next.ok()) {
    return refuse(concat("redirects to what is no URL (", next.error().message(), ')'));
  }
  const Url& to = next.value();
  if (request_url_.scheme == UrlScheme::Https && to.scheme == UrlScheme::Http) {
    return refuse(concat("redirects from https to ", to.display(),
                         ", which is not secured; use a URL that stays with https"));
  }
  // Not seen on the first request, as that was http.
  if (to.scheme == UrlScheme::Https && !options_.insecure && options_.ca_file.empty()) {
    return refuse("redirects to https, but there are no CA certificates; pass --ca FILE (ca=)");
  }
  if (options_.insecure && options_.pinned_key && !same_origin(mirror().url, to)) {
    return refuse(concat("redirects to ", to.display(),
                         ", whose key is not pinned and, with insecure, not checked at all; give "
                         "its URL, or a CA instead of insecure"));
  }
  log_debug(concat(request_url_.display(), ": redirected to ", to.display()));
  request_url_ = std::move(next).value();
  return start_request();
}

// The answer ended as its head promised, but more is wanted than it brought.
std::optional<HttpFailure> HttpTransfer::request_ended() {
  const Url& url = request_url_;
  if (plan_.proof == Proof::Head && mirror().known) {
    wire_->drop();
    return std::nullopt;
  }
  // A server may send less than was asked for; if it is not next to nothing, that is no fault.
  if (head_.status == 206 && answer_left_ == 0 && fetched_ - fetched_before_ >= kProgress) {
    wire_->drop();
    return std::nullopt;
  }
  // With a known length the end would have been seen; less than that is a server that sent less.
  bool all_compared = compared_ >= compared_until();
  if (run_end_ != kUnknownEnd || !all_compared) {
    return transient_failure(concat(url.host, ": the answer ended early, at byte ", position_));
  }
  ended_ = true;  // the last chunk's mark was seen
  return std::nullopt;
}

// One turn: lets curl work, and waits only when nothing came of it.
std::optional<HttpFailure> HttpTransfer::step() {
  if (!wire_->busy()) {
    if (auto failed = begin_next_request()) return failed;
  }
  for (;;) {
    uint64_t before = wire_->arrived();
    WireState state = wire_->perform();
    if (failure_) {
      // What came before it is good.
      if (reader_filled_ > 0) return std::nullopt;
      return std::exchange(failure_, std::nullopt);
    }
    if (unproven_) {
      log_debug(concat(request_url_.display(), ": does not tell the ETag; read from the start"));
      return begin_next_request();
    }
    if (verdict_ == HttpVerdict::Redirect) return follow_redirect();
    bool filled = reader_filled_ > 0 && reader_filled_ == reader_space_.size();
    if (ended_ || filled) return std::nullopt;
    if (state == WireState::Running) {
      // A server that never pauses must not outlast the deadline.
      if (wire_->arrived() != before && !deadline_passed()) continue;
      break;
    }
    // How the request ended is asked for when these bytes have been read.
    if (reader_filled_ > 0) return std::nullopt;
    return state == WireState::Done ? request_ended() : wire_->failure(position_);
  }
  if (reader_filled_ > 0) return std::nullopt;
  return wait_for_bytes();
}

// While nothing comes: another way may be there long before this one counts as stalled.
std::optional<HttpFailure> HttpTransfer::look_for_ways(Time time) {
  PathChooser& paths = *options_.paths;
  if (paths.is_gone(path_)) {
    return transient_failure(concat(request_url_.host, ": ", path_.interface,
                                    " has lost its connection, at byte ", position_));
  }
  Duration silence = stalls_.silence(time);
  if (silence < options_.first_bytes) {
    asked_for_ways_ = false;
    return std::nullopt;
  }
  std::string what =
      concat(request_url_.host, ": no data for ", seconds_text(silence), ", at byte ", position_);
  if (!std::exchange(asked_for_ways_, true)) paths.failed(path_, Error(what));
  HttpPath now_best = paths.path();
  if (same_nic(now_best, path_)) return std::nullopt;
  return transient_failure(concat(what, ", and the source answers on another way"));
}

std::optional<HttpFailure> HttpTransfer::wait_for_bytes() {
  Time time = now();
  uint64_t arrived = wire_->arrived();
  if (std::optional<Stall> stall = stalls_.look(*wire_, path_, options_, time)) {
    if (stall->smaller_segment) max_segment_ = *stall->smaller_segment;
    HttpFailure failure =
        transient_failure(concat(request_url_.host, ": no data for ", seconds_text(stall->after),
                                 ", at byte ", position_, stall->advice()));
    failure.stage = stall->stage;
    return failure;
  }
  if (options_.paths != nullptr) {
    if (auto better = look_for_ways(time)) return better;
  }
  // Only the time counts in which bytes were wanted. A head has twice as long: it may be worked on.
  if (waited_ >= options_.stall * (verdict_ ? 1 : 2)) {
    uint64_t got = arrived - arrived_at_window_;
    auto least = static_cast<uint64_t>(
        static_cast<double>(kLowSpeed) *
        std::chrono::duration_cast<std::chrono::duration<double>>(waited_).count());
    if (got < least) {
      return transient_failure(concat(request_url_.host, ": only ", got, " bytes in ",
                                      seconds_text(waited_), ", at byte ", position_));
    }
    waited_ = Duration(0);
    arrived_at_window_ = arrived;
  }
  Duration wait = std::min<Duration>(kLongestPoll, stalls_.next(options_, time) - time);
  if (std::optional<Time> limit = current_deadline()) {
    wait = std::min<Duration>(wait, std::max<Duration>(*limit - time, Duration(0)));
  }
  wire_->wait(wait);
  waited_ += now() - time;
  return std::nullopt;
}

// --- over all requests

// The cause of each mirror.
Error HttpTransfer::all_causes() const {
  if (mirrors_.size() == 1 && mirrors_[0].cause) return *mirrors_[0].cause;
  std::string text = concat("none of the ", mirrors_.size(), " mirrors serves the file: ");
  int code = 0;
  for (size_t i = 0; i < mirrors_.size(); ++i) {
    const Mirror& each = mirrors_[i];
    text +=
        concat(i == 0 ? "[" : " [", i + 1, "] ",
               each.cause ? each.cause->message() : concat(each.url.display(), ": not tried yet"));
    if (each.cause && each.cause->code() == kNoRanges) code = kNoRanges;
  }
  return Error(std::move(text), code);
}

Result<void> HttpTransfer::pause_before_retry(Duration wait) {
  Time until = now() + wait;
  for (;;) {
    Time time = now();
    if (time >= until) return {};
    // set_deadline() wakes this.
    if (deadline_passed()) return all_causes();
    Duration rest = std::min<Duration>(until - time, kLongestPoll);
    if (std::optional<Time> limit = current_deadline()) {
      rest = std::min<Duration>(rest, std::max<Duration>(*limit - time, Duration(0)));
    }
    wire_->wait(rest);
  }
}

Duration HttpTransfer::backoff() const {
  unsigned doublings = std::min(rounds_ > 0 ? rounds_ - 1 : 0, 10U);
  Duration base =
      std::min<Duration>(options_.first_backoff * (int64_t{1} << doublings), kLongestBackoff);
  // Between a half and the whole: machines that lost the same server come back spread out.
  auto half = static_cast<uint64_t>(std::max<int64_t>((base / 2).count(), 1));
  return base / 2 + Duration(static_cast<int64_t>(random_u64() % half));
}

// The first after the current one, which itself comes last.
std::optional<size_t> HttpTransfer::next_mirror_that(bool (*fits)(const Mirror&, Time),
                                                     Time time) const {
  for (size_t i = 1; i <= mirrors_.size(); ++i) {
    size_t index = (current_ + i) % mirrors_.size();
    if (!mirrors_[index].excluded && fits(mirrors_[index], time)) return index;
  }
  return std::nullopt;
}

// After a transient failure. Returns how long to wait before the next request.
Duration HttpTransfer::choose_next_mirror(bool same_again) {
  if (same_again) return Duration(0);
  Time time = now();
  mirror().failed_in_round = true;
  auto unasked = [](const Mirror& each, Time at) {
    return !each.failed_in_round && each.not_before <= at;
  };
  if (auto next = next_mirror_that(unasked, time)) {
    current_ = *next;
    return Duration(0);
  }
  ++rounds_;
  for (Mirror& each : mirrors_) each.failed_in_round = false;
  Time earliest = time + backoff();
  auto ready = [](const Mirror& each, Time at) { return each.not_before <= at; };
  // Each has asked for more patience: the first that gives in.
  if (!next_mirror_that(ready, earliest)) {
    earliest = Time::max();
    for (const Mirror& each : mirrors_) {
      if (!each.excluded) earliest = std::min(earliest, each.not_before);
    }
  }
  current_ = next_mirror_that(ready, earliest).value_or(current_);
  return earliest - time;
}

// Decides whether another try can help; returns when it is time for it.
Result<void> HttpTransfer::recover(HttpFailure cause) {
  wire_->drop();
  // A server that answers, whatever it says, is reached.
  bool answered = head_.status >= 400;
  bool behind_commit = opened_ && !current_deadline();
  // On a way that has brought none of the file yet, somebody else may answer in the server's place.
  bool strange_way = behind_commit && served_by_ && !same_nic(path_, *served_by_);
  if (strange_way) cause.kind = FailureKind::Transient;
  bool may_be_the_way = cause.kind == FailureKind::Transient && (!answered || strange_way);
  if (options_.paths != nullptr && may_be_the_way) options_.paths->failed(path_, cause.error);
  Mirror& failed = mirror();
  bool shortcut_is_gone = via_shortcut_ && cause.kind != FailureKind::Transient && !verdict_;
  failed.cause = cause.error;
  fresh_ = true;
  bool hopeless = cause.kind == FailureKind::Final ||
                  (cause.kind == FailureKind::Certificate && !behind_commit);
  bool progress = fetched_ - fetched_at_progress_ >= kProgress;
  if (progress) {
    fetched_at_progress_ = fetched_;
    rounds_ = 0;
    for (Mirror& each : mirrors_) {
      each.failed_in_round = false;
      each.failures = 0;
    }
  }
  ++failed.failures;
  Duration wait{0};
  if (shortcut_is_gone) {
    failed.final_url.reset();
  } else if (hopeless) {
    failed.excluded = true;
    auto any = [](const Mirror&, Time) { return true; };
    std::optional<size_t> next = next_mirror_that(any, now());
    if (!next) return all_causes();
    current_ = *next;
  } else {
    if (cause.retry_after) {
      failed.not_before = now() + std::min<Duration>(*cause.retry_after, kLongestRetryAfter);
    }
    bool several = mirrors_.size() > 1;
    bool same_again =
        opened_ && !cause.retry_after && (progress || (several && failed.failures == 1));
    wait = choose_next_mirror(same_again);
    bool smaller =
        max_segment_ != 0 && (path_.max_segment == 0 || path_.max_segment > max_segment_);
    if (smaller && &failed == &mirror() && !cause.retry_after) wait = Duration(0);
  }
  std::optional<Time> limit = current_deadline();
  if (limit && now() + wait >= *limit) return all_causes();
  bool elsewhere = &failed != &mirror();
  log_warning(concat(cause.error.message(), failed.excluded ? "; this mirror is given up" : "",
                     "; next try ", elsewhere ? concat("on ", mirror().url.display(), ' ') : "",
                     wait == Duration(0) ? "now" : concat("in ", seconds_text(wait))));
  return pause_before_retry(wait);
}

}  // namespace curlingiron
