#include "net/http/transfer.h"

#include <algorithm>
#include <bit>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http/wire.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

// The same again is said at the 4th, 16th, 64th ... time; all of these end in "th".
bool is_said(unsigned times) {
  return times == 0 || (std::has_single_bit(times) && std::countr_zero(times) % 2 == 0);
}

constexpr size_t kBuffer = 1_MiB;  // what arrived beyond the reader's own buffer
constexpr Duration kLongestPoll = 1s;
constexpr unsigned kMaxRedirects = 10;

// May see the headers and credentials that were given for `trusted`.
bool same_origin(const Url& trusted, const Url& url) {
  if (is_same_server(trusted, url)) return true;
  // From http to https on the standard ports: the same site, only safer.
  return trusted.host == url.host && url.scheme == UrlScheme::Https &&
         trusted.scheme == UrlScheme::Http && trusted.port == 80 && url.port == 443;
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

// --- the transfer as a whole

HttpTransfer::HttpTransfer(std::vector<Url> mirrors, const HttpOptions& options, HttpMode mode)
    : options_(options),
      mode_(mode),
      mirrors_(std::move(mirrors), options.first_backoff),
      inbox_(kBuffer) {}

HttpTransfer::~HttpTransfer() = default;

Result<std::unique_ptr<HttpTransfer>> HttpTransfer::create(std::vector<Url> mirrors,
                                                           const HttpOptions& options,
                                                           HttpMode mode,
                                                           std::unique_ptr<HttpExchange> exchange) {
  if (mirrors.empty()) return Error("no URL to download from");
  std::unique_ptr<HttpTransfer> transfer(new HttpTransfer(std::move(mirrors), options, mode));
  TRY(transfer->prepare(std::move(exchange)));
  return transfer;
}

Result<void> HttpTransfer::prepare(std::unique_ptr<HttpExchange> exchange) {
  for (const Mirror& each : mirrors_.all()) {
    bool secure = each.url.scheme == UrlScheme::Https;
    if (secure && !options_.insecure && options_.trusted == nullptr) {
      return Error(concat(each.url.host,
                          ": there are no CA certificates to verify https with; install "
                          "ca-certificates, or pass ",
                          as_typed("ca")));
    }
    if (!secure && options_.pinned_key) {
      return Error(
          concat(each.url.display(), ": a pinned key proves nothing over http; use https"));
    }
  }
  wire_ = std::move(exchange);
  if (wire_ == nullptr) wire_ = TRY(HttpWire::create(options_));
  return {};
}

Result<void> HttpTransfer::open() {
  if (mode_ == HttpMode::Stream) return pump_until_progress();
  // The first request's bytes are kept: run_.end becomes shorter where the file is.
  run_.end = kFileHead;
  ByteVector chunk(kFileHead);
  while (TRY(read(chunk)) > 0) {
  }
  file_.head.complete = true;
  watched_.delivered = 0;
  return {};
}

std::optional<Time> HttpTransfer::current_deadline() const {
  int64_t nanoseconds = watched_.deadline.load();
  if (nanoseconds == kNoDeadline) return std::nullopt;
  return Time(Duration(nanoseconds));
}

bool HttpTransfer::deadline_passed() const {
  std::optional<Time> limit = current_deadline();
  return limit && wire_->now() >= *limit;
}

void HttpTransfer::set_deadline(std::optional<Time> deadline) {
  watched_.deadline = deadline ? deadline->time_since_epoch().count() : kNoDeadline;
  wire_->wake();
}

void HttpTransfer::seek(uint64_t first, uint64_t end) {
  // An answer that has ended leaves its connection to the next request.
  wire_->drop();
  inbox_.clear();
  run_.next = run_.given = first;
  run_.end = end;
  run_.ended = false;
}

Result<size_t> HttpTransfer::read(MutableBytes into) {
  if (size_t count = inbox_.take(into); count > 0) {
    run_.given += count;
    watched_.delivered += count;
    return count;
  }
  if (broken_) return *broken_;
  if (run_.ended) return size_t{0};
  inbox_.begin_read(into);
  connection_.stalls.resume(wire_->now());
  Result<void> pumped = pump_until_progress();
  size_t count = inbox_.end_read();
  if (!pumped.ok()) {
    wire_->drop();
    broken_ = pumped.error();
    return *broken_;
  }
  run_.given += count;
  watched_.delivered += count;
  return count;
}

// Until a byte is there, or the end is proven; without a reader, until the first answer is good.
Result<void> HttpTransfer::pump_until_progress() {
  bool had_opened = file_.opened;
  for (;;) {
    // Asked before the bytes are, or a server that drips would never let it pass.
    if (deadline_passed()) {
      if (mirrors_.any_failed()) return mirrors_.all_causes();
      return Error(concat(mirror().url.host,
                          file_.opened ? concat(": the deadline passed at byte ", run_.next)
                                       : std::string(": no answer before the deadline"),
                          "; check the server"));
    }
    std::optional<HttpFailure> failed = step();
    if (inbox_.has_bytes() || run_.ended) break;
    if (!had_opened && file_.opened && !failed && !inbox_.has_reader()) break;
    if (failed) TRY(recover(std::move(*failed)));
  }
  // In a stream nothing more is wanted; between runs the connection is kept.
  if (run_.ended && mode_ == HttpMode::Stream) wire_->drop();
  return {};
}

// --- one request

HttpTransfer::Plan HttpTransfer::next_plan() const {
  const Mirror& from = mirror();
  Plan plan;
  if (mode_ == HttpMode::Ranges) {
    if (from.known) return {Proof::Validator, run_.next, run_.end - 1, from.pin.if_range()};
    // In a file of which nothing was read yet, nothing needs proof.
    if (file_.head.bytes.empty()) return {Proof::None, 0, kFileHead - 1, ""};
    return {Proof::Head, 0, file_.head.bytes.size() - 1, ""};
  }
  if (run_.next == 0) return plan;
  plan.first = run_.next;
  plan.proof = Proof::Validator;
  plan.if_range = from.pin.if_range();
  if (from.known && !plan.if_range.empty()) return plan;
  if (file_.memory.has_tail()) {
    plan.proof = Proof::Overlap;
    plan.first = run_.next - std::min<uint64_t>(run_.next, kOverlap);
    plan.if_range.clear();
    return plan;
  }
  plan.if_range = file_.pin.etag;
  if (!from.known && !from.ignores_if_range && is_strong_entity_tag(file_.pin.etag)) return plan;
  return Plan{Proof::Reread, 0, std::nullopt, ""};
}

// The request for what is missing, from the start of the redirects.
std::optional<HttpFailure> HttpTransfer::begin_next_request() {
  target_.redirects = 0;
  // First where the redirects led to: another host may hold another copy. Then, as that may have
  // been a URL for a short time, the URL itself.
  target_.via_shortcut =
      file_.opened && mirror().final_url &&
      (mode_ == HttpMode::Ranges ? mirror().failures % 2 == 0 : mirror().failures % 2 == 1);
  target_.url = target_.via_shortcut ? *mirror().final_url : mirror().url;
  return start_request();
}

std::optional<HttpFailure> HttpTransfer::start_request() {
  request_ = Request();
  request_.plan = next_plan();
  request_.begun = wire_->now();
  request_.compared = request_.plan.first;
  request_.fetched_before = fetched_.bytes;
  file_.memory.begin_comparison(false);

  HttpAsk ask;
  ask.trusted = same_origin(mirror().url, target_.url);
  ask.url = target_.url;
  if (ask.trusted && ask.url.user_info.empty()) ask.url.user_info = mirror().url.user_info;
  if (request_.plan.last) {
    ask.range = concat("bytes=", request_.plan.first, '-', *request_.plan.last);
  } else if (request_.plan.first > 0 || request_.plan.proof == Proof::Overlap) {
    ask.range = concat("bytes=", request_.plan.first, '-');
  }
  ask.if_range = request_.plan.if_range;
  request_.path = options_.paths != nullptr ? options_.paths->path() : system_path();
  bool limited =
      request_.path.max_segment != 0 && request_.path.max_segment <= connection_.max_segment;
  if (connection_.max_segment != 0 && !limited) request_.path.max_segment = connection_.max_segment;
  Result<void> sent = wire_->send(ask, request_.path, connection_.fresh, *this);
  connection_.stalls.begin(*wire_, wire_->now());
  request_.arrived_at_window = wire_->arrived();
  if (!sent.ok()) return HttpFailure{sent.error(), FailureKind::Final, std::nullopt};
  return std::nullopt;
}

HttpReceiver::Taken HttpTransfer::stop(HttpFailure failure) {
  request_.failure = std::move(failure);
  return Taken::Stop;
}

HttpJudgement HttpTransfer::judge(const HttpHead& head) {
  std::string subject = target_.url.display();
  int64_t clock = wall_clock_seconds();
  const Mirror& from = mirror();
  request_.pin = from.known ? from.pin : HttpPin();
  request_.pin.length = file_.pin.length;
  HttpRun run{request_.plan.first, request_.plan.last, mode_ == HttpMode::Stream ? run_.next : 0,
              file_.opened && !from.known, options_.open_end};
  if (mode_ == HttpMode::Ranges) return judge_range(head, request_.pin, run, subject, clock);
  // Nothing was received yet: this is as good as the first answer, but it must be the same file.
  if (file_.opened) return judge_resumed(head, request_.pin, run, subject, clock);
  return judge_first(head, options_.open_end, subject, clock);
}

HttpReceiver::Taken HttpTransfer::on_head(const Result<HttpHead>& answered) {
  if (!answered.ok()) {
    return stop(
        {answered.error().with_context(target_.url.display()), FailureKind::Final, std::nullopt});
  }
  request_.head = answered.value();
  HttpJudgement judged = judge(request_.head);
  if (judged.failure) {
    // The hint is worth something only where the server refuses.
    std::string hint =
        request_.head.status >= 400 && request_.head.status < 500 ? wire_->certificate_hint() : "";
    if (!hint.empty()) {
      judged.failure->error = Error(concat(judged.failure->error.message(), hint));
    }
    return stop(std::move(*judged.failure));
  }
  request_.verdict = judged.verdict;
  if (*request_.verdict == HttpVerdict::Redirect) return Taken::All;
  if (std::optional<HttpFailure> refusal = refuse(request_.head)) return stop(std::move(*refusal));
  if (ignored_if_range(request_.head)) {
    request_.unproven = true;
    mirror().ignores_if_range = true;
    return Taken::Stop;
  }
  take_answer(request_.head);
  return Taken::All;
}

// What speaks against an answer whose head is good by itself.
std::optional<HttpFailure> HttpTransfer::refuse(const HttpHead& head) const {
  auto because = [&](std::string_view why) {
    return final_failure(concat(target_.url.display(), ": ", why));
  };
  // A page that says "file not found" with a good status: another mirror may have the file.
  if (!file_.opened && mirrors_.has_others() && is_web_page(head)) {
    return because("sends a web page (text/html), not an image; check the URL");
  }
  bool proven =
      options_.digest_follows || file_.memory.has_digest() || proves_same(head, file_.pin);
  if (*request_.verdict == HttpVerdict::FromStart && run_.next > 0 && !proven) {
    return because(
        "the server sends the whole file instead of the rest, and no longer says what proves it "
        "to be the same; start again");
  }
  bool same_tag = is_strong_entity_tag(file_.pin.etag) && file_.pin.etag == head.etag;
  if (request_.plan.proof == Proof::Head && !options_.digest_follows && !same_tag) {
    return because("nothing proves that this mirror holds the same file (no ETag in common)");
  }
  return std::nullopt;
}

// The server sent the part whether the ETag is the same or not.
bool HttpTransfer::ignored_if_range(const HttpHead& head) const {
  bool asked_for_tag = !mirror().known && request_.plan.proof == Proof::Validator;
  return head.status == 206 && asked_for_tag && head.etag != request_.plan.if_range;
}

void HttpTransfer::take_answer(const HttpHead& head) {
  if (*request_.verdict == HttpVerdict::FromStart) {
    request_.compared = 0;
    file_.memory.begin_comparison(true);
  }
  if (head.status == 206) {
    request_.answer_left = head.range->span->last - head.range->span->first + 1;
  }
  request_.reported_length = request_.pin.length;
  if (!file_.opened && mode_ == HttpMode::Stream) request_.reported_length = head.length;
  request_.pin = pin_of(head);
  request_.pin.length.reset();
  if (!file_.opened) {
    first_answer(head);
  } else if (connection_.fresh) {
    ++watched_.resumptions;
    bool again = *request_.verdict == HttpVerdict::FromStart && run_.next > 0;
    std::string line = concat(target_.url.display(), ": resumed at byte ", run_.next,
                              again ? ", by reading again from the start" : "");
    if (is_said(mirror().same_cause)) {
      log_info(line);
    } else {
      log_debug(line);
    }
  }
  connection_.fresh = false;
  request_.waited = Duration(0);
  request_.arrived_at_window = wire_->arrived();
  if (target_.redirects > 0) mirror().final_url = target_.url;
  bool nothing_to_compare = request_.compared >= compared_until();
  if (nothing_to_compare) mirror_is_proven();
  if (*request_.verdict == HttpVerdict::AtEnd) {
    if (mode_ == HttpMode::Stream) run_.end = run_.next;
    run_.ended = true;
  }
  if (at_end() && nothing_to_compare) run_.ended = true;
}

void HttpTransfer::first_answer(const HttpHead& head) {
  file_.opened = true;
  file_.pin = request_.pin;
  file_.pin.length = request_.reported_length;
  file_.answer.length = request_.reported_length;
  file_.answer.marks_its_end = request_.reported_length.has_value() || head.chunked;
  file_.answer.content_type = head.content_type;
  file_.answer.date = head.date;
  file_.answer.effective_url = target_.url.display();
  file_.answer.tls = wire_->tls_version();
  if (head.status == 206 || head.accept_ranges.find("bytes") != std::string::npos) {
    file_.answer.ranges = RangeSupport::Announced;
  } else if (head.accept_ranges == "none") {
    file_.answer.ranges = RangeSupport::None;
  }
  if (mode_ == HttpMode::Ranges)
    run_.end = std::min<uint64_t>(kFileHead, *request_.reported_length);
  // Hashing and copying cost as much as receiving: only where a comparison may be asked for. From
  // one server that resumes, a validator proves whatever may come.
  bool proven = !mirrors_.several() && !file_.pin.if_range().empty();
  if (mode_ == HttpMode::Stream) {
    if (options_.digest_follows && !proven) file_.memory.keep_tail();
    if (!options_.digest_follows && (!proven || file_.answer.ranges != RangeSupport::Announced)) {
      file_.memory.keep_digest();
    }
  }
  say_what_a_drop_means();
}

// Better known before it happens.
void HttpTransfer::say_what_a_drop_means() const {
  if (options_.quiet) return;
  std::string subject = target_.url.display();
  if (mode_ == HttpMode::Ranges) {
    if (file_.pin.etag.empty() && file_.pin.modified.empty()) {
      log_warning(concat(subject,
                         ": the server gives neither ETag nor Last-Modified; a change of the file "
                         "while it is read shows only in its length"));
    }
    return;
  }
  if (file_.answer.length && *file_.answer.length <= kBuffer) return;  // It is nearly there.
  std::string_view last_sentence =
      "; if the connection drops, the download is read again from its start and compared";
  if (file_.answer.ranges == RangeSupport::None) {
    log_warning(concat(subject,
                       ": the server does not serve parts of the file (Accept-Ranges: none)",
                       last_sentence));
  } else if (file_.pin.if_range().empty() && !file_.memory.has_tail()) {
    log_info(concat(subject,
                    ": the server gives no strong ETag and no old Last-Modified, so that nothing "
                    "proves a part to be of the same file",
                    last_sentence));
  } else if (file_.answer.ranges == RangeSupport::Unknown) {
    log_info(concat(subject,
                    ": the server does not say that it serves parts of the file (no "
                    "Accept-Ranges); if it does not, a drop means reading again from the start"));
  }
}

void HttpTransfer::mirror_is_proven() {
  mirror().known = true;
  mirror().pin = request_.pin;
  if (!request_.reported_length) return;
  file_.pin.length = request_.reported_length;
  if (mode_ == HttpMode::Stream) run_.end = *request_.reported_length;
}

// The position up to which the answer brings known bytes, which are compared.
uint64_t HttpTransfer::compared_until() const {
  if (request_.plan.proof == Proof::Head) return file_.head.bytes.size();
  return mode_ == HttpMode::Stream ? run_.next : request_.compared;
}

// Bytes at request_.compared, all of which are known.
std::optional<Error> HttpTransfer::compare_known(ConstBytes bytes) {
  std::optional<StreamMemory::Difference> other;
  if (request_.plan.proof == Proof::Head) {
    ConstBytes known =
        ConstBytes(file_.head.bytes).subspan(static_cast<size_t>(request_.compared), bytes.size());
    auto differs = std::mismatch(bytes.begin(), bytes.end(), known.begin()).first;
    if (differs != bytes.end()) {
      other = {request_.compared + static_cast<uint64_t>(differs - bytes.begin())};
    }
  } else {
    other = file_.memory.compare(request_.compared, bytes, run_.next);
  }
  request_.compared += bytes.size();
  if (!other) return std::nullopt;
  std::string subject = target_.url.display();
  std::string where = other->at ? concat("byte ", *other->at, " differs")
                                : concat("its first ", run_.next, " bytes differ");
  if (!mirror().known) {
    return Error(
        concat(subject, ": this mirror holds another file of the same length (", where, ')'));
  }
  return Error(concat(subject, ": the image changed on the server while it was read (", where,
                      "); start again"));
}

HttpReceiver::Taken HttpTransfer::on_body(ConstBytes bytes) {
  if (!request_.verdict || *request_.verdict == HttpVerdict::Redirect ||
      *request_.verdict == HttpVerdict::AtEnd) {
    return Taken::All;
  }
  uint64_t to_compare = compared_until() - std::min(request_.compared, compared_until());
  auto known = static_cast<size_t>(std::min<uint64_t>(to_compare, bytes.size()));
  ConstBytes fresh = bytes.subspan(known);
  if (fresh.size() > inbox_.room()) return Taken::Nothing;
  bool too_many =
      bytes.size() > request_.answer_left ||
      (request_.plan.proof == Proof::Head ? !fresh.empty() : fresh.size() > run_.end - run_.next);
  if (too_many) {
    return stop(final_failure(
        concat(target_.url.display(), ": the server sends more bytes than it announced")));
  }
  if (request_.answer_left != kUnknownEnd) request_.answer_left -= bytes.size();
  if (known > 0) {
    if (auto differs = compare_known(bytes.first(known))) {
      return stop({std::move(*differs), FailureKind::Final, std::nullopt});
    }
    if (request_.compared == compared_until()) {
      mirror_is_proven();
      if (at_end() && request_.plan.proof != Proof::Head) run_.ended = true;
    }
  }
  if (!fresh.empty()) store(fresh);
  return Taken::All;
}

bool HttpTransfer::gave_up() const {
  return deadline_passed() ||
         (!request_.verdict && wire_->now() - request_.begun >= options_.stall * 2);
}

void HttpTransfer::store(ConstBytes bytes) {
  if (fetched_.bytes == request_.fetched_before) connection_.served_by = request_.path;
  if (mode_ == HttpMode::Stream) {
    file_.memory.add(run_.next, bytes);
  } else if (!file_.head.complete) {
    file_.head.bytes.insert(file_.head.bytes.end(), bytes.begin(), bytes.end());
  }
  mirror().cause.reset();  // overcome
  run_.next += bytes.size();
  fetched_.bytes += bytes.size();
  if (mode_ == HttpMode::Stream) request_.compared = run_.next;
  inbox_.put(bytes);
  if (at_end()) run_.ended = true;
}

std::optional<HttpFailure> HttpTransfer::follow_redirect() {
  auto refuse = [&](std::string_view why) {
    return final_failure(concat(target_.url.display(), ": ", why));
  };
  if (++target_.redirects > kMaxRedirects) return refuse("more than 10 redirects; check the URL");
  Result<Url> next = resolve_reference(target_.url, request_.head.location);
  if (!next.ok()) {
    return refuse(concat("redirects to what is no URL (", next.error().message(), ')'));
  }
  const Url& to = next.value();
  if (target_.url.scheme == UrlScheme::Https && to.scheme == UrlScheme::Http) {
    return refuse(concat("redirects from https to ", to.display(),
                         ", which is not secured; use a URL that stays with https"));
  }
  // Not seen on the first request, as that was http.
  if (to.scheme == UrlScheme::Https && !options_.insecure && options_.trusted == nullptr) {
    return refuse(
        concat("redirects to https, but there are no CA certificates to verify it with; install "
               "ca-certificates, or pass ",
               as_typed("ca")));
  }
  if (options_.pinned_key && !same_origin(mirror().url, to)) {
    return refuse(concat("redirects to ", to.display(),
                         ", whose key is not pinned; give that URL and the pin of its server"));
  }
  log_debug(concat(target_.url.display(), ": redirected to ", to.display()));
  target_.url = std::move(next).value();
  return start_request();
}

// The answer ended as its head promised, but more is wanted than it brought.
std::optional<HttpFailure> HttpTransfer::request_ended() {
  const Url& url = target_.url;
  if (request_.plan.proof == Proof::Head && mirror().known) {
    wire_->drop();
    return std::nullopt;
  }
  // A server may send less than was asked for; if it is not next to nothing, that is no fault.
  if (request_.head.status == 206 && request_.answer_left == 0 &&
      fetched_.bytes - request_.fetched_before >= kProgress) {
    wire_->drop();
    return std::nullopt;
  }
  // With a known length the end would have been seen; less than that is a server that sent less.
  bool all_compared = request_.compared >= compared_until();
  if (run_.end != kUnknownEnd || !all_compared) {
    return transient_failure(concat(url.host, ": the answer ended early", at_byte()));
  }
  run_.ended = true;  // the last chunk's mark was seen; or nothing marks the end (open_end)
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
    if (request_.failure) {
      // What came before it is good.
      if (inbox_.has_bytes()) return std::nullopt;
      return std::exchange(request_.failure, std::nullopt);
    }
    if (request_.unproven) {
      log_debug(concat(target_.url.display(), ": does not give the ETag; read from the start"));
      return begin_next_request();
    }
    if (request_.verdict == HttpVerdict::Redirect) return follow_redirect();
    if (run_.ended || inbox_.is_full()) return std::nullopt;
    if (state == WireState::Running) {
      // A server that never pauses must not outlast the deadline.
      if (wire_->arrived() != before && !deadline_passed()) continue;
      break;
    }
    // How the request ended is asked for when these bytes have been read.
    if (inbox_.has_bytes()) return std::nullopt;
    return state == WireState::Done ? request_ended() : wire_->failure(run_.next);
  }
  if (inbox_.has_bytes()) return std::nullopt;
  return wait_for_bytes();
}

std::string HttpTransfer::at_byte() const {
  std::string text = concat(", at byte ", run_.next);
  if (options_.proxy) text += concat(", through the proxy ", options_.proxy->host);
  return text;
}

// While nothing comes: another path may be there long before this one counts as stalled.
std::optional<HttpFailure> HttpTransfer::look_for_paths(Time time) {
  PathChooser& paths = *options_.paths;
  if (paths.is_gone(request_.path)) {
    return transient_failure(concat(target_.url.host, ": ", request_.path.interface,
                                    " has lost its connection", at_byte()));
  }
  Duration silence = connection_.stalls.silence(time);
  if (silence < options_.first_bytes) {
    request_.asked_for_paths = false;
    return std::nullopt;
  }
  std::string what = concat(target_.url.host, ": no data for ", seconds_text(silence), at_byte());
  if (!std::exchange(request_.asked_for_paths, true)) paths.failed(request_.path, Error(what));
  HttpPath now_best = paths.path();
  if (same_nic(now_best, request_.path)) return std::nullopt;
  return transient_failure(concat(what, ", and the source answers on another path"));
}

std::optional<HttpFailure> HttpTransfer::wait_for_bytes() {
  Time time = wire_->now();
  uint64_t arrived = wire_->arrived();
  if (std::optional<Stall> stall = connection_.stalls.look(*wire_, request_.path, options_, time)) {
    if (stall->smaller_segment) connection_.max_segment = *stall->smaller_segment;
    HttpFailure failure =
        transient_failure(concat(target_.url.host, ": no data for ", seconds_text(stall->after),
                                 at_byte(), stall->advice()));
    failure.stage = stall->stage;
    return failure;
  }
  if (options_.paths != nullptr) {
    if (auto better = look_for_paths(time)) return better;
  }
  // Only the time counts in which bytes were wanted. A head has twice as long: it may be worked on.
  if (request_.waited >= options_.stall * (request_.verdict ? 1 : 2)) {
    uint64_t got = arrived - request_.arrived_at_window;
    auto least = static_cast<uint64_t>(
        static_cast<double>(kLowSpeed) *
        std::chrono::duration_cast<std::chrono::duration<double>>(request_.waited).count());
    if (got < least) {
      return transient_failure(concat(target_.url.host, ": only ", got, " bytes in ",
                                      seconds_text(request_.waited), at_byte(),
                                      "; check the server and the path to it"));
    }
    request_.waited = Duration(0);
    request_.arrived_at_window = arrived;
  }
  Duration wait = std::min<Duration>(kLongestPoll, connection_.stalls.next(options_, time) - time);
  if (std::optional<Time> limit = current_deadline()) {
    wait = std::min<Duration>(wait, std::max<Duration>(*limit - time, Duration(0)));
  }
  wire_->wait(wait);
  request_.waited += wire_->now() - time;
  return std::nullopt;
}

// --- over all requests

Result<void> HttpTransfer::pause_before_retry(Duration wait) {
  Time until = wire_->now() + wait;
  for (;;) {
    Time time = wire_->now();
    if (time >= until) return {};
    // set_deadline() wakes this.
    if (deadline_passed()) return mirrors_.all_causes();
    Duration rest = std::min<Duration>(until - time, kLongestPoll);
    if (std::optional<Time> limit = current_deadline()) {
      rest = std::min<Duration>(rest, std::max<Duration>(*limit - time, Duration(0)));
    }
    wire_->wait(rest);
  }
}

// Decides whether another try can help; returns when it is time for it.
Result<void> HttpTransfer::recover(HttpFailure cause) {
  wire_->drop();
  // A server that answers, whatever it says, is reached.
  bool answered = request_.head.status >= 400;
  bool after_commit = file_.opened && !current_deadline();
  // On a path that has brought none of the file yet, somebody else may answer in the server's
  // place.
  bool strange_path =
      after_commit && connection_.served_by && !same_nic(request_.path, *connection_.served_by);
  if (strange_path) cause.kind = FailureKind::Transient;
  bool may_be_the_path = cause.kind == FailureKind::Transient && (!answered || strange_path);
  if (options_.paths != nullptr && may_be_the_path)
    options_.paths->failed(request_.path, cause.error);
  Mirror& failed = mirror();
  bool shortcut_is_gone =
      target_.via_shortcut && cause.kind != FailureKind::Transient && !request_.verdict;
  bool same = failed.cause && failed.cause->message() == cause.error.message();
  failed.cause = cause.error;
  connection_.fresh = true;
  bool hopeless =
      cause.kind == FailureKind::Final || (cause.kind == FailureKind::Certificate && !after_commit);
  bool progress = fetched_.bytes - fetched_.at_progress >= kProgress;
  if (progress) {
    fetched_.at_progress = fetched_.bytes;
    mirrors_.on_progress();
  }
  ++failed.failures;
  failed.same_cause = same ? failed.same_cause + 1 : 1;
  Duration wait{0};
  if (shortcut_is_gone) {
    failed.final_url.reset();
  } else if (hopeless) {
    if (!mirrors_.exclude_current()) return mirrors_.all_causes();
  } else {
    bool same_again = file_.opened && !cause.retry_after &&
                      (progress || (mirrors_.several() && failed.failures == 1));
    wait = mirrors_.on_transient(same_again, cause.retry_after, wire_->now(), wire_->random());
    bool smaller =
        connection_.max_segment != 0 &&
        (request_.path.max_segment == 0 || request_.path.max_segment > connection_.max_segment);
    if (smaller && &failed == &mirror() && !cause.retry_after) wait = Duration(0);
  }
  std::optional<Time> limit = current_deadline();
  if (limit && wire_->now() + wait >= *limit) return mirrors_.all_causes();
  bool elsewhere = &failed != &mirror();
  std::string line =
      concat(failed.same_cause > 1 ? concat("for the ", failed.same_cause, "th time: ") : "",
             cause.error.message(), failed.excluded ? "; this mirror is given up" : "",
             "; next try ", elsewhere ? concat("on ", mirror().url.display(), ' ') : "",
             wait == Duration(0) ? "now" : concat("in ", seconds_text(wait)));
  if (is_said(failed.same_cause) && !options_.quiet) {
    log_warning(line);
  } else {
    log_debug(line);
  }
  return pause_before_retry(wait);
}

}  // namespace curlingiron
