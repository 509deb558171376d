#include "net/http_source.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/http_head.h"
#include "io/digest.h"
#include "net/http_resume.h"
#include "net/tls_witness.h"
#include "sys/clock.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kBuffer = 1_MiB;          // what arrived beyond the reader's own buffer
constexpr long kSocketBuffer = 128 << 10;  // bytes that curl asks of the socket at once
constexpr Duration kConnectTimeout = 15s;  // name, TCP and TLS
constexpr Duration kLongestBackoff = 8s;
constexpr Duration kLongestRetryAfter = 60s;
constexpr Duration kLongestPoll = 1s;
constexpr uint64_t kProgress = 64_KiB;  // after which a broken transfer is resumed at once
constexpr unsigned kMaxRedirects = 10;
constexpr size_t kMaxRequestHeaders = 64;
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

long milliseconds(Duration duration) {
  return static_cast<long>(std::max<int64_t>(
      1, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

std::string seconds_text(Duration duration) {
  int64_t tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return concat(tenths / 10, '.', tenths % 10, " s");
}

// May see the headers and credentials that were given for `trusted`.
bool same_origin(const Url& trusted, const Url& url) {
  if (trusted.host != url.host) return false;
  if (trusted.scheme == url.scheme) return trusted.port == url.port;
  // From http to https on the standard ports: the same site, only safer.
  return trusted.scheme == UrlScheme::Http && trusted.port == 80 && url.port == 443;
}

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using StringList = std::unique_ptr<curl_slist, ListDeleter>;

void append(StringList& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) return;  // out of memory: the transfer fails by itself soon
  [[maybe_unused]] curl_slist* same = list.release();
  list.reset(longer);
}

// "10.0.2.3:53" is taken as curl's option wants it; IPv6 needs brackets.
std::string resolver_list(const std::vector<std::string>& servers) {
  std::vector<std::string> list;
  for (const std::string& server : servers) {
    bool bare_ipv6 = server.find(':') != server.rfind(':') && server[0] != '[';
    list.push_back(bare_ipv6 ? concat('[', server, ']') : server);
  }
  return join(list, ",");
}

// The DNS servers in use, for messages.
std::string resolver_names(const std::vector<std::string>& configured) {
  if (!configured.empty()) return join(configured, ", ");
  std::vector<std::string> found;
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return "none";
  Result<std::string> text = read_text(root.value(), "etc/resolv.conf");
  if (!text.ok()) return "none";
  for (std::string_view line : split(text.value(), '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() >= 2 && words[0] == "nameserver") found.push_back(printable(words[1], 50));
  }
  return found.empty() ? "none" : join(found, ", ");
}

}  // namespace

// One file, over as many requests as it takes. All but the atomics belongs to the reading thread.
struct HttpSource::State {
  State(const Url& file, const HttpOptions& settings) : url(file), options(settings) {}
  ~State() { drop_transfer(); }

  Url url;
  HttpOptions options;
  std::atomic<int64_t> deadline = kNoDeadline;  // nanoseconds of the boot clock
  std::atomic<uint64_t> delivered = 0;
  std::atomic<unsigned> resumptions = 0;
  HttpAnswer answer;

  // --- the file, over all requests
  HttpPin pin;
  uint64_t received = 0;  // bytes proven to follow each other; the next one wanted
  Xxh3 digest;            // of those
  bool opened = false;    // the first answer was good
  bool ended = false;     // all bytes are here
  std::optional<Error> broken;
  std::optional<Url> final_url;  // where the redirects led to
  unsigned failures = 0;         // in a row
  uint64_t received_at_failure = 0;
  std::optional<Error> last_cause;

  // --- what arrived and was not read yet
  ByteVector buffer = ByteVector(kBuffer);
  size_t buffer_begin = 0;
  size_t buffer_end = 0;
  MutableBytes reader_space;  // of the read() under way; filled before the buffer is
  size_t reader_filled = 0;

  // --- the request under way
  Multi multi;
  Easy easy;
  StringList request_headers;
  TlsWitness witness;
  Url request_url;
  bool began = false;         // a request is under way
  bool tls_began = false;     // TCP is connected, TLS has begun
  bool via_shortcut = false;  // asked where redirects had led to, not the URL itself
  unsigned redirects = 0;
  HttpHeadReader head;
  std::optional<HttpVerdict> verdict;
  std::optional<HttpFailure> failure;  // found in a callback
  uint64_t skipped = 0;                // bytes compared of an answer that began at 0
  std::optional<Xxh3> skipped_digest;
  bool paused = false;
  Time last_activity{};
  char curl_error[CURL_ERROR_SIZE] = {};

  std::optional<Time> current_deadline() const {
    int64_t nanoseconds = deadline.load();
    if (nanoseconds == kNoDeadline) return std::nullopt;
    return Time(Duration(nanoseconds));
  }
  bool deadline_passed() const {
    std::optional<Time> limit = current_deadline();
    return limit && now() >= *limit;
  }
  bool at_known_end() const { return opened && pin.length && received == *pin.length; }

  Result<void> prepare();
  Result<void> pump_until_progress();
  Result<void> recover(HttpFailure cause);
  Result<void> pause_before_retry(Duration wait);
  std::optional<HttpFailure> start_request();
  std::optional<HttpFailure> begin_next_request();
  std::optional<HttpFailure> follow_redirect();
  std::optional<HttpFailure> step();
  HttpFailure describe(CURLcode code) const;
  HttpFailure describe_connect(CURLcode code) const;
  HttpFailure describe_timeout() const;
  void drop_transfer();

  // From curl's callbacks.
  void on_tls(void* context) {
    tls_began = true;
    if (!options.insecure) witness.attach(context);
  }
  void on_head();
  bool on_line(std::string_view line);
  size_t on_body(ConstBytes bytes);
  void store(ConstBytes bytes);
  size_t room() const { return reader_space.size() - reader_filled + (buffer.size() - buffer_end); }

  Result<size_t> read(MutableBytes into);
};

namespace {

// curl declares the user pointer of its callbacks as void*.
template <typename State>
size_t header_callback(char* data, size_t size, size_t count, void* state) {
  return static_cast<State*>(state)->on_line(std::string_view(data, size * count)) ? size * count
                                                                                   : 0;
}

template <typename State>
size_t body_callback(char* data, size_t size, size_t count, void* state) {
  return static_cast<State*>(state)->on_body(as_bytes(std::string_view(data, size * count)));
}

template <typename State>
CURLcode tls_callback(CURL* /*easy*/, void* context, void* state) {
  static_cast<State*>(state)->on_tls(context);
  return CURLE_OK;
}

}  // namespace

Result<void> HttpSource::State::prepare() {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) {
    return Error(concat("libcurl does not start: ", curl_easy_strerror(initialized)));
  }
  if (url.scheme == UrlScheme::Https && !options.insecure && options.ca_file.empty()) {
    return Error(concat(url.host, ": no CA certificates to verify with; pass --ca FILE (ca=)"));
  }
  if (options.headers.size() > kMaxRequestHeaders) return Error("more than 64 headers (header=)");
  for (const std::string& header : options.headers) {
    bool good = header.find(':') != std::string::npos && header[0] != ':' &&
                std::all_of(header.begin(), header.end(), [](char c) {
                  return static_cast<unsigned char>(c) >= 0x20 || c == '\t';
                });
    // The value is a secret: not even a part of it is shown.
    if (!good) return Error("header=: not of the form 'Name: value' on one line");
  }
  multi.reset(curl_multi_init());
  if (multi == nullptr) return Error("libcurl does not start: out of memory");
  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, 2L);
  return {};
}

void HttpSource::State::drop_transfer() {
  if (easy != nullptr && multi != nullptr) curl_multi_remove_handle(multi.get(), easy.get());
  easy.reset();
  request_headers.reset();
  began = false;
  paused = false;
}

// The request for what is missing, from the start of the redirects.
std::optional<HttpFailure> HttpSource::State::begin_next_request() {
  redirects = 0;
  // First where the redirects led to: another mirror may hold another copy. Then, as that may have
  // been a URL for a short time, the URL itself.
  via_shortcut = opened && final_url && failures % 2 == 1;
  request_url = via_shortcut ? *final_url : url;
  return start_request();
}

std::optional<HttpFailure> HttpSource::State::start_request() {
  drop_transfer();
  head = HttpHeadReader();
  verdict.reset();
  failure.reset();
  witness = TlsWitness();
  skipped = 0;
  skipped_digest.emplace();
  tls_began = false;
  curl_error[0] = '\0';
  last_activity = now();

  easy.reset(curl_easy_init());
  CURL* handle = easy.get();
  if (handle == nullptr) {
    return HttpFailure{Error("libcurl: out of memory"), FailureKind::Transient, std::nullopt};
  }
  bool good = true;
  auto set = [&](CURLoption option, auto value) {
    good = curl_easy_setopt(handle, option, value) == CURLE_OK && good;
  };
  bool trusted = same_origin(url, request_url);
  Url sent = request_url;
  if (trusted && sent.user_info.empty()) sent.user_info = url.user_info;
  set(CURLOPT_URL, sent.text().c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_PROXY, options.proxy.c_str());  // empty: none, whatever the environment says
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_HEADEROPT, long{CURLHEADER_SEPARATE});
  set(CURLOPT_BUFFERSIZE, kSocketBuffer);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min<Duration>(kConnectTimeout, options.stall)));
  set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  if (!options.nameservers.empty()) {
    set(CURLOPT_DNS_SERVERS, resolver_list(options.nameservers).c_str());
  }
  // What broke may still be in curl's pool.
  if (failures > 0) set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_ERRORBUFFER, curl_error);

  set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  if (options.insecure) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  } else if (request_url.scheme == UrlScheme::Https) {
    set(CURLOPT_CAINFO, options.ca_file.c_str());
  }
  set(CURLOPT_SSL_CTX_FUNCTION, tls_callback<State>);
  set(CURLOPT_SSL_CTX_DATA, this);

  append(request_headers, "Accept-Encoding: identity");
  if (trusted) {
    for (const std::string& header : options.headers) append(request_headers, header);
  }
  // Without something that proves equality, the file is read again from its start.
  if (opened && received > 0 && !pin.if_range().empty()) {
    append(request_headers, concat("Range: bytes=", received, '-'));
    append(request_headers, concat("If-Range: ", pin.if_range()));
  }
  set(CURLOPT_HTTPHEADER, request_headers.get());
  set(CURLOPT_HEADERFUNCTION, header_callback<State>);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, body_callback<State>);
  set(CURLOPT_WRITEDATA, this);
  if (!good || curl_multi_add_handle(multi.get(), handle) != CURLM_OK) {
    return HttpFailure{Error(concat(url.display(), ": libcurl cannot start the request")),
                       FailureKind::Final, std::nullopt};
  }
  began = true;
  return std::nullopt;
}

bool HttpSource::State::on_line(std::string_view line) {
  last_activity = now();
  Result<void> added = head.add_line(line);
  if (!added.ok()) {
    failure = HttpFailure{added.error().with_context(request_url.display()), FailureKind::Final,
                          std::nullopt};
    return false;
  }
  if (head.complete() && !verdict && !failure) on_head();
  return true;
}

void HttpSource::State::on_head() {
  std::string subject = request_url.display();
  int64_t clock = wall_clock_seconds();
  bool resuming = opened;
  // Nothing was received yet: this is as good as the first answer, but it must be the same file.
  HttpJudgement judged = resuming ? judge_resumed(head.head(), pin, received, subject, clock)
                                  : judge_first(head.head(), subject, clock);
  if (judged.failure) {
    failure = std::move(judged.failure);
    return;
  }
  verdict = judged.verdict;
  if (*verdict == HttpVerdict::Redirect) return;
  if (*verdict == HttpVerdict::FromStart && received == 0) verdict = HttpVerdict::Body;
  if (resuming) {
    ++resumptions;
    log_info(concat(subject, ": resumed at byte ", received,
                    *verdict == HttpVerdict::FromStart ? ", by reading again from the start" : ""));
  } else {
    opened = true;
    pin = pin_of(head.head());
    answer.length = head.head().length;
    answer.content_type = head.head().content_type;
    answer.date = head.head().date;
    answer.effective_url = request_url.display();
    curl_tlssessioninfo* session = nullptr;
    bool has_session = curl_easy_getinfo(easy.get(), CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK &&
                       session != nullptr && session->internals != nullptr &&
                       request_url.scheme == UrlScheme::Https;
    if (has_session) answer.tls = SSL_get_version(static_cast<const SSL*>(session->internals));
  }
  if (redirects > 0) final_url = request_url;
  if (*verdict == HttpVerdict::AtEnd) ended = true;
  if (at_known_end()) ended = true;
}

void HttpSource::State::store(ConstBytes bytes) {
  digest.update(bytes);
  received += bytes.size();
  size_t direct = std::min(bytes.size(), reader_space.size() - reader_filled);
  if (direct > 0) std::memcpy(reader_space.data() + reader_filled, bytes.data(), direct);
  reader_filled += direct;
  bytes = bytes.subspan(direct);
  if (!bytes.empty()) std::memcpy(buffer.data() + buffer_end, bytes.data(), bytes.size());
  buffer_end += bytes.size();
  if (at_known_end()) ended = true;
}

size_t HttpSource::State::on_body(ConstBytes bytes) {
  last_activity = now();
  if (failure || !verdict) return bytes.size();  // the body of a refusal
  if (*verdict != HttpVerdict::Body && *verdict != HttpVerdict::FromStart) return bytes.size();

  uint64_t to_skip = *verdict == HttpVerdict::FromStart ? received - skipped : 0;
  auto known = static_cast<size_t>(std::min<uint64_t>(to_skip, bytes.size()));
  ConstBytes fresh = bytes.subspan(known);
  if (fresh.size() > room()) {
    paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (pin.length && fresh.size() > *pin.length - received) {
    failure = HttpFailure{Error(concat(request_url.display(), ": the server sends more than the ",
                                       *pin.length, " bytes that it told")),
                          FailureKind::Final, std::nullopt};
    return 0;
  }
  if (known > 0) {
    skipped_digest->update(bytes.first(known));
    skipped += known;
    if (skipped == received && skipped_digest->value() != digest.value()) {
      failure = HttpFailure{Error(concat(request_url.display(),
                                         ": the image changed on the server while it was read "
                                         "(its first ",
                                         received, " bytes differ); start again")),
                            FailureKind::Final, std::nullopt};
      return 0;
    }
    if (skipped == received) verdict = HttpVerdict::Body;
  }
  store(fresh);
  return bytes.size();
}

std::optional<HttpFailure> HttpSource::State::follow_redirect() {
  auto refuse = [&](std::string_view why) {
    return HttpFailure{Error(concat(request_url.display(), ": ", why)), FailureKind::Final,
                       std::nullopt};
  };
  if (++redirects > kMaxRedirects) return refuse("more than 10 redirects; check the URL");
  Result<Url> next = resolve_reference(request_url, head.head().location);
  if (!next.ok()) {
    return refuse(concat("redirects to what is no URL (", next.error().message(), ')'));
  }
  if (request_url.scheme == UrlScheme::Https && next.value().scheme == UrlScheme::Http) {
    return refuse(concat("redirects from https to ", next.value().display(),
                         ", which is not secured; use a URL that stays with https"));
  }
  // Not seen on the first request, as that was http.
  if (next.value().scheme == UrlScheme::Https && !options.insecure && options.ca_file.empty()) {
    return refuse("redirects to https, but there are no CA certificates; pass --ca FILE (ca=)");
  }
  log_debug(concat(request_url.display(), ": redirected to ", next.value().display()));
  request_url = std::move(next).value();
  return start_request();
}

HttpFailure HttpSource::State::describe_timeout() const {
  curl_off_t resolved = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_NAMELOOKUP_TIME_T, &resolved);
  std::string text;
  if (resolved == 0) {
    text = concat(request_url.host, ": no answer from the DNS servers (",
                  resolver_names(options.nameservers), "); check the network and the name servers");
  } else if (!tls_began) {
    text = concat(request_url.host, ": no connection on port ", request_url.port, " within ",
                  seconds_text(std::min<Duration>(kConnectTimeout, options.stall)),
                  "; check the address, the route and firewalls");
  } else {
    text = concat(request_url.host, ": the TLS handshake takes too long; check the server");
  }
  return {Error(std::move(text)), FailureKind::Transient, std::nullopt};
}

HttpFailure HttpSource::State::describe_connect(CURLcode code) const {
  long number = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_OS_ERRNO, &number);
  std::string where = concat(request_url.host, ": ");
  std::string port = concat("port ", request_url.port);
  std::string text;
  switch (number) {
    case ECONNREFUSED:
      text = concat(where, "connection refused on ", port,
                    "; check that the server runs and the port");
      break;
    case EHOSTUNREACH:
    case ENETUNREACH:
      text = concat(where, "no route to the host; check address, gateway and firewall");
      break;
    case ETIMEDOUT:
      text = concat(where, "no connection on ", port, "; check the address and firewalls");
      break;
    default:
      text = concat(where, "cannot connect on ", port, " (",
                    number != 0 ? system_error("connect", static_cast<int>(number)).message()
                                : curl_easy_strerror(code),
                    "); check the address and the server");
      break;
  }
  return {Error(std::move(text), static_cast<int>(number)), FailureKind::Transient, std::nullopt};
}

HttpFailure HttpSource::State::describe(CURLcode code) const {
  auto make = [&](FailureKind kind, std::string_view text) {
    return HttpFailure{Error(concat(request_url.host, ": ", text)), kind, std::nullopt};
  };
  // curl's own words may quote what the server sent.
  std::string detail =
      printable(curl_error[0] != '\0' ? curl_error : curl_easy_strerror(code), 160);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return make(FailureKind::Transient,
                  concat("host not found; check the name and the DNS servers (",
                         resolver_names(options.nameservers), ')'));
    case CURLE_COULDNT_RESOLVE_PROXY:
      return make(FailureKind::Transient,
                  concat("the proxy's host is not found; check proxy= and the DNS servers (",
                         resolver_names(options.nameservers), ')'));
    case CURLE_COULDNT_CONNECT: return describe_connect(code);
    case CURLE_OPERATION_TIMEDOUT: return describe_timeout();
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return make(FailureKind::Certificate,
                  witness.saw_certificate()
                      ? witness.explain(request_url.host, wall_clock_seconds())
                      : concat("the certificate is not accepted (", detail, ')'));
    case CURLE_SSL_CACERT_BADFILE:
      return make(FailureKind::Final, concat("the CA file ", options.ca_file,
                                             " holds no usable certificates; check ca="));
    case CURLE_SSL_CONNECT_ERROR: {
      if (witness.refused()) {
        return make(FailureKind::Certificate,
                    witness.explain(request_url.host, wall_clock_seconds()));
      }
      // Cut off in the handshake it may pass; what the peers disagree on does not.
      bool cut = detail.find("SYSCALL") != std::string::npos ||
                 detail.find("reset") != std::string::npos ||
                 detail.find("unexpected eof") != std::string::npos;
      return make(cut ? FailureKind::Transient : FailureKind::Certificate,
                  concat("the TLS handshake failed (", detail,
                         "); check that the port speaks TLS 1.2 or 1.3"));
    }
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return make(FailureKind::Final, "the server does not answer with HTTP; check the port");
    case CURLE_OUT_OF_MEMORY:
      // curl's limit for one header line is its only allocation that a server controls.
      return make(FailureKind::Final, "a header of the answer is too long, or memory is used up");
    case CURLE_URL_MALFORMAT: return make(FailureKind::Final, "curl does not accept the URL");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return make(FailureKind::Transient,
                  concat("the connection broke at byte ", received, " (", detail, ')'));
    default: return make(FailureKind::Transient, concat("the download failed (", detail, ')'));
  }
}

// One turn: lets curl work, and waits only when nothing came of it.
std::optional<HttpFailure> HttpSource::State::step() {
  if (!began) {
    if (auto failed = begin_next_request()) return failed;
  }
  if (paused) {
    paused = false;
    last_activity = now();
    curl_easy_pause(easy.get(), CURLPAUSE_CONT);
    if (failure) return failure;
    if (reader_filled > 0 || ended) return std::nullopt;
  }
  int running = 0;
  if (CURLMcode code = curl_multi_perform(multi.get(), &running); code != CURLM_OK) {
    return HttpFailure{Error(concat(request_url.host, ": ", curl_multi_strerror(code))),
                       FailureKind::Transient, std::nullopt};
  }
  if (failure) return failure;
  // How the request ended is asked for when these bytes have been read.
  if (reader_filled > 0 || ended) return std::nullopt;
  if (verdict == HttpVerdict::Redirect) return follow_redirect();

  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE || message->easy_handle != easy.get()) continue;
    CURLcode code = message->data.result;
    if (code != CURLE_OK) return describe(code);
    if (!verdict) return describe(CURLE_GOT_NOTHING);
    // With a known length `ended` would be set; less than that is a server that sent less.
    if (pin.length || *verdict == HttpVerdict::FromStart) {
      return HttpFailure{
          Error(concat(request_url.host, ": the answer ended early, at byte ", received)),
          FailureKind::Transient, std::nullopt};
    }
    ended = true;  // the last chunk's mark was seen
    return std::nullopt;
  }
  if (paused) return std::nullopt;

  Time time = now();
  if (time - last_activity >= options.stall) {
    return HttpFailure{Error(concat(request_url.host, ": no data for ", seconds_text(options.stall),
                                    ", at byte ", received)),
                       FailureKind::Transient, std::nullopt};
  }
  Duration wait = std::min<Duration>(kLongestPoll, last_activity + options.stall - time);
  if (std::optional<Time> limit = current_deadline()) {
    wait = std::min<Duration>(wait, std::max<Duration>(*limit - time, Duration(0)));
  }
  curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(milliseconds(wait)), nullptr);
  return std::nullopt;
}

Result<void> HttpSource::State::pause_before_retry(Duration wait) {
  Time until = now() + wait;
  for (;;) {
    Time time = now();
    if (time >= until) return {};
    // set_deadline() wakes this.
    if (deadline_passed()) return *last_cause;
    std::optional<Time> limit = current_deadline();
    Duration rest = std::min<Duration>(until - time, kLongestPoll);
    if (limit) rest = std::min<Duration>(rest, std::max<Duration>(*limit - time, Duration(0)));
    curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(milliseconds(rest)), nullptr);
  }
}

// Decides whether another try can help; returns when it is time for it.
Result<void> HttpSource::State::recover(HttpFailure cause) {
  drop_transfer();
  bool behind_commit = opened && !current_deadline();
  bool shortcut_is_gone = via_shortcut && cause.kind != FailureKind::Transient && !verdict;
  last_cause = cause.error;
  bool hopeless = cause.kind == FailureKind::Final ||
                  (cause.kind == FailureKind::Certificate && !behind_commit);
  if (hopeless && !shortcut_is_gone) return cause.error;

  bool progress = received - received_at_failure >= kProgress;
  received_at_failure = received;
  failures = progress ? 1 : failures + 1;
  Duration wait{0};
  if (!progress && !shortcut_is_gone) {
    Duration base = options.first_backoff * (int64_t{1} << std::min(failures - 1, 10U));
    base = std::min<Duration>(base, kLongestBackoff);
    // Between a half and the whole: machines that lost the same server come back spread out.
    wait = base / 2 +
           Duration(static_cast<int64_t>(
               random_u64() % static_cast<uint64_t>(std::max<int64_t>((base / 2).count(), 1))));
  }
  if (cause.retry_after) {
    wait = std::max<Duration>(wait, std::min<Duration>(*cause.retry_after, kLongestRetryAfter));
  }
  std::optional<Time> limit = current_deadline();
  if (limit && now() + wait >= *limit) return cause.error;
  log_warning(concat(cause.error.message(), "; next try ",
                     wait == Duration(0) ? "now" : concat("in ", seconds_text(wait))));
  return pause_before_retry(wait);
}

// Until the first answer is good, a byte is there, or the end is proven.
Result<void> HttpSource::State::pump_until_progress() {
  bool had_opened = opened;
  for (;;) {
    std::optional<HttpFailure> failed = step();
    if (reader_filled > 0 || ended) break;
    if (!had_opened && opened && !failed) break;
    if (failed) {
      TRY(recover(std::move(*failed)));
    } else if (deadline_passed()) {
      if (last_cause) return *last_cause;
      return Error(concat(request_url.host, ": no answer before the deadline; check the server"));
    }
  }
  if (ended) drop_transfer();
  return {};
}

Result<size_t> HttpSource::State::read(MutableBytes into) {
  size_t waiting = buffer_end - buffer_begin;
  if (waiting > 0) {
    size_t count = std::min(waiting, into.size());
    std::memcpy(into.data(), buffer.data() + buffer_begin, count);
    buffer_begin += count;
    if (buffer_begin == buffer_end) buffer_begin = buffer_end = 0;
    delivered += count;
    return count;
  }
  if (broken) return *broken;
  if (ended) return size_t{0};
  reader_space = into;
  reader_filled = 0;
  last_activity = now();  // the time in which nothing was asked for is no stall
  Result<void> pumped = pump_until_progress();
  size_t count = std::exchange(reader_filled, 0);
  reader_space = {};
  if (!pumped.ok()) {
    drop_transfer();
    broken = pumped.error();
    return *broken;
  }
  delivered += count;
  return count;
}

HttpSource::HttpSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpSource::~HttpSource() = default;

Result<std::unique_ptr<HttpSource>> HttpSource::open(const Url& url, const HttpOptions& options,
                                                     std::optional<Time> deadline) {
  auto state = std::make_unique<State>(url, options);
  TRY(state->prepare());
  std::unique_ptr<HttpSource> source(new HttpSource(std::move(state)));
  source->set_deadline(deadline);
  State& opening = *source->state_;
  opening.last_activity = now();
  TRY(opening.pump_until_progress());
  return source;
}

Result<size_t> HttpSource::read(MutableBytes into) { return state_->read(into); }

const HttpAnswer& HttpSource::answer() const { return state_->answer; }

void HttpSource::set_deadline(std::optional<Time> deadline) {
  state_->deadline = deadline ? deadline->time_since_epoch().count() : kNoDeadline;
  curl_multi_wakeup(state_->multi.get());
}

uint64_t HttpSource::delivered() const { return state_->delivered; }
unsigned HttpSource::resumptions() const { return state_->resumptions; }

}  // namespace curlingiron
