#include "net/http/wire.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "net/http/wire_failure.h"
#include "net/tls/client_certificate.h"
#include "net/tls/policy.h"
#include "net/tls/trust_store.h"
#include "sys/clock.h"
#include "sys/socket_options.h"

namespace curlingiron {
namespace {

constexpr long kSocketBuffer = 256 << 10;  // bytes that curl asks of the socket at once
constexpr Duration kConnectTimeout = 15s;  // TCP and TLS
constexpr Duration kNamePatience = 10s;
constexpr Duration kKnownNamePatience = 3s;  // where there are addresses of before to go on with
constexpr size_t kMostKnownHosts = 32;

long milliseconds(Duration duration) {
  return static_cast<long>(std::max<int64_t>(
      1, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
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
struct UrlDeleter {
  void operator()(CURLU* parts) const { curl_url_cleanup(parts); }
};
using UrlParts = std::unique_ptr<CURLU, UrlDeleter>;
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using StringList = std::unique_ptr<curl_slist, ListDeleter>;

// False: out of memory.
bool append(StringList& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) return false;
  [[maybe_unused]] curl_slist* same = list.release();
  list.reset(longer);
  return true;
}

// As CURLOPT_RESOLVE takes it.
std::string resolve_entry(const Url& peer, const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const IpAddress& address : addresses) {
    std::string text = format_ip(address);
    texts.push_back(address.is_v6() ? concat('[', text, ']') : text);
  }
  return concat(peer.host, ':', peer.port, ':', join(texts, ","));
}

std::vector<IpAddress> only(const std::vector<IpAddress>& addresses, std::optional<Family> family) {
  std::vector<IpAddress> fitting;
  for (const IpAddress& address : addresses) {
    if (!family || address.family() == *family) fitting.push_back(address);
  }
  return fitting;
}

// CURLOPT_HTTPHEADER(3): "Name:" takes a header away, "Name;" sends one without a value.
std::string header_for_curl(std::string_view header) {
  std::string_view stripped = trim(header);
  if (!stripped.ends_with(':') || stripped.find(':') + 1 != stripped.size()) {
    return std::string(header);
  }
  return concat(stripped.substr(0, stripped.size() - 1), ';');
}

// Who is asked, as formats/url.h found it in the text: curl takes nothing else out of it. Null: out
// of memory, or curl does not take a part.
UrlParts parts_of(const Url& url) {
  UrlParts parts(curl_url());
  if (parts == nullptr) return nullptr;
  bool good = true;
  auto set = [&](CURLUPart part, std::string_view text) {
    good = curl_url_set(parts.get(), part, std::string(text).c_str(), 0) == CURLUE_OK && good;
  };
  set(CURLUPART_SCHEME, url.scheme == UrlScheme::Https ? "https" : "http");
  set(CURLUPART_HOST, url.host);
  set(CURLUPART_PORT, concat(url.port));
  std::string_view user = url.user_info;
  if (!user.empty()) {
    size_t colon = user.find(':');
    set(CURLUPART_USER, user.substr(0, colon));
    if (colon != std::string_view::npos) set(CURLUPART_PASSWORD, user.substr(colon + 1));
  }
  return good ? std::move(parts) : nullptr;
}

// What is asked for, byte by byte as in the URL: of parts curl would change the case of escapes,
// and a server may have signed them. A proxy that is no tunnel gets the whole URL (RFC 9112 section
// 3.2.2).
std::string request_target(const Url& url, bool by_proxy) {
  if (!by_proxy || url.scheme == UrlScheme::Https) return url.target;
  Url whole = url;
  whole.user_info.clear();
  return whole.text();
}

}  // namespace

std::string seconds_text(Duration duration) {
  int64_t tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return concat(tenths / 10, '.', tenths % 10, " s");
}

// The request under way: replaced as a whole when the next one begins.
struct HttpWire::Request {
  HttpAsk ask;
  HttpReceiver* receiver = nullptr;
  HttpHeadReader head;
  UrlParts url_parts;  // borrowed by easy
  Easy easy;
  StringList headers;
  StringList addresses;      // curl resolves nothing itself
  std::vector<int> sockets;  // open ones that were made for it
  WireState state = WireState::Done;
  bool resolving = false;
  bool paused = false;
  WireProgress progress;
  std::optional<Error> dns_error;
  std::optional<Error> socket_error;
  CURLcode code = CURLE_OK;
  char curl_error[CURL_ERROR_SIZE] = {};
};

struct HttpWire::State {
  explicit State(const HttpOptions& settings) : options(settings) {}
  ~State() { drop(); }

  const HttpOptions& options;
  HttpPath path;
  Resolver resolver;
  std::map<std::string, std::vector<IpAddress>> known;  // the last addresses that names had
  // Both before the connections, which report to them until the last of them is closed.
  Request request;
  TlsVerdict verdict;
  Multi multi;
  uint64_t arrived = 0;

  Result<void> set_options(CURL* handle, bool fresh);
  void set_tls_options(CURL* handle, bool& good);
  void drop();
  WireState perform();
  void resolve(bool fresh);
  void take_addresses();
  void transfer(const std::vector<IpAddress>& found);
  bool on_new_socket(int fd);
  void on_closed_socket(int fd);
  bool connected() const;
  bool must_give_up() const;
  HttpStage stage() const;
  CURLcode on_tls(SSL_CTX* context);
  bool is_proven() const;
  bool on_line(std::string_view line);
  size_t on_body(ConstBytes bytes);
  WireEnd end() const;
  Duration connect_patience() const { return std::min<Duration>(kConnectTimeout, options.stall); }

  const Url& peer() const { return peer_of(options, request.ask); }
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

// While curl reads what it shows nobody, this alone is asked.
template <typename State>
int progress_callback(void* state, curl_off_t /*of*/, curl_off_t /*down*/, curl_off_t /*out_of*/,
                      curl_off_t /*up*/) {
  return static_cast<State*>(state)->must_give_up() ? 1 : 0;
}

template <typename State>
int new_socket_callback(void* state, curl_socket_t fd, curlsocktype /*purpose*/) {
  return static_cast<State*>(state)->on_new_socket(fd) ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

// curl owns the descriptor, and leaves its end to this.
template <typename State>
int close_socket_callback(void* state, curl_socket_t fd) {
  static_cast<State*>(state)->on_closed_socket(fd);
  return 0;
}

template <typename State>
CURLcode tls_callback(CURL* /*easy*/, void* context, void* state) {
  return static_cast<State*>(state)->on_tls(static_cast<SSL_CTX*>(context));
}

}  // namespace

bool HttpWire::State::on_new_socket(int fd) {
  request.progress.made_connection = true;
  Result<void> bound = bind_to_interface(fd, path.interface);
  if (!bound.ok()) {
    request.socket_error = std::move(bound).error();
    return false;
  }
  Result<void> limited = limit_segment(fd, path.max_segment);
  if (!limited.ok()) log_warning("TCP segments are not limited", limited.error());
  request.sockets.push_back(fd);
  return true;
}

void HttpWire::State::on_closed_socket(int fd) {
  std::erase(request.sockets, fd);
  UniqueFd closed(fd);
}

// What a proxy sends with a refusal is for nobody, and may have no end.
bool HttpWire::State::must_give_up() const {
  return options.proxy && request.receiver != nullptr && !request.progress.has_head &&
         !request.sockets.empty() && connected() && request.receiver->gave_up();
}

bool HttpWire::State::connected() const {
  if (!request.progress.began || !request.progress.made_connection) return request.progress.began;
  return std::any_of(request.sockets.begin(), request.sockets.end(),
                     [](int fd) { return tcp_state(fd).connected; });
}

HttpStage HttpWire::State::stage() const {
  if (request.progress.has_head) return HttpStage::Body;
  if (request.resolving || request.dns_error) return HttpStage::Dns;
  curl_off_t connect_took = 0;
  curl_off_t handshake_took = 0;
  curl_easy_getinfo(request.easy.get(), CURLINFO_CONNECT_TIME_T, &connect_took);
  curl_easy_getinfo(request.easy.get(), CURLINFO_APPCONNECT_TIME_T, &handshake_took);
  if (connect_took == 0 && !request.progress.tls_began && !connected()) return HttpStage::Connect;
  bool secure = request.ask.url.scheme == UrlScheme::Https;
  if (secure && request.progress.made_connection && handshake_took == 0) return HttpStage::Tls;
  return HttpStage::Http;
}

CURLcode HttpWire::State::on_tls(SSL_CTX* context) {
  request.progress.tls_began = true;
  bool governed = verdict.govern(
      context, TlsExpectation{.host = request.ask.url.host,
                              .trusted = options.insecure ? nullptr : options.trusted.get(),
                              .pin = request.ask.trusted ? options.pinned_key : std::nullopt,
                              .time = options.certificate_time.value_or(wall_clock_seconds())});
  if (!governed) return CURLE_OUT_OF_MEMORY;
  if (!request.ask.trusted || options.client_certificate == nullptr) return CURLE_OK;
  return options.client_certificate->use(context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

// Bytes of a server that proved itself on this very connection, or on the one that is kept.
bool HttpWire::State::is_proven() const {
  return request.ask.url.scheme != UrlScheme::Https || !request.progress.made_connection ||
         verdict.accepted();
}

bool HttpWire::State::on_line(std::string_view line) {
  arrived += line.size();
  verdict.note_data();
  if (request.progress.has_head) return true;  // trailers
  if (!is_proven()) return false;
  Result<void> added = request.head.add_line(line);
  if (added.ok() && !request.head.complete()) return true;
  request.progress.has_head = true;
  HttpReceiver::Taken taken = added.ok() ? request.receiver->on_head(request.head.head())
                                         : request.receiver->on_head(added.error());
  return taken != HttpReceiver::Taken::Stop;
}

size_t HttpWire::State::on_body(ConstBytes bytes) {
  verdict.note_data();
  switch (request.receiver->on_body(bytes)) {
    case HttpReceiver::Taken::All: arrived += bytes.size(); return bytes.size();
    case HttpReceiver::Taken::Nothing: request.paused = true; return CURL_WRITEFUNC_PAUSE;
    case HttpReceiver::Taken::Stop: break;
  }
  return bytes.size() + 1;  // no count that curl takes for success
}

void HttpWire::State::set_tls_options(CURL* handle, bool& good) {
  auto set = [&](CURLoption option, auto value) {
    good = curl_easy_setopt(handle, option, value) == CURLE_OK && good;
  };
  set(CURLOPT_SSL_VERIFYPEER, options.insecure ? 0L : 1L);
  // The verification of net/tls/policy.h has the host's name in it; curl reads no certificate.
  set(CURLOPT_SSL_VERIFYHOST, 0L);
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);  // a session that is resumed shows no certificate
  set(CURLOPT_SSL_CTX_FUNCTION, tls_callback<State>);
  set(CURLOPT_SSL_CTX_DATA, this);
}

Result<void> HttpWire::State::set_options(CURL* handle, bool fresh) {
  bool good = true;
  auto set = [&](CURLoption option, auto value) {
    good = curl_easy_setopt(handle, option, value) == CURLE_OK && good;
  };
  request.url_parts = parts_of(request.ask.url);
  if (request.url_parts == nullptr) good = false;
  set(CURLOPT_CURLU, request.url_parts.get());
  set(CURLOPT_REQUEST_TARGET, request_target(request.ask.url, options.proxy.has_value()).c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  // Empty: none, whatever the environment says.
  set(CURLOPT_PROXY, options.proxy ? options.proxy->text().c_str() : "");
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_HEADEROPT, long{CURLHEADER_SEPARATE});
  set(CURLOPT_BUFFERSIZE, kSocketBuffer);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(connect_patience()));
  set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  set(CURLOPT_SOCKOPTFUNCTION, new_socket_callback<State>);
  set(CURLOPT_SOCKOPTDATA, this);
  set(CURLOPT_CLOSESOCKETFUNCTION, close_socket_callback<State>);
  set(CURLOPT_CLOSESOCKETDATA, this);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, progress_callback<State>);
  set(CURLOPT_XFERINFODATA, this);
  if (request.ask.method == HttpMethod::Head) set(CURLOPT_NOBODY, 1L);
  if (fresh) set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_ERRORBUFFER, request.curl_error);
  if (request.ask.url.scheme == UrlScheme::Https) set_tls_options(handle, good);

  auto add = [&](const std::string& header) { good = append(request.headers, header) && good; };
  add("Accept-Encoding: identity");
  if (request.ask.trusted) {
    for (const std::string& header : options.headers) add(header_for_curl(header));
  }
  if (!request.ask.range.empty()) add(concat("Range: ", request.ask.range));
  if (!request.ask.if_range.empty()) add(concat("If-Range: ", request.ask.if_range));
  set(CURLOPT_HTTPHEADER, request.headers.get());
  set(CURLOPT_HEADERFUNCTION, header_callback<State>);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, body_callback<State>);
  set(CURLOPT_WRITEDATA, this);
  if (!good) return Error(concat(request.ask.url.display(), ": libcurl cannot start the request"));
  return {};
}

void HttpWire::State::drop() {
  request.receiver = nullptr;  // may be gone, and curl asks once more while it lets go
  if (request.easy != nullptr && multi != nullptr)
    curl_multi_remove_handle(multi.get(), request.easy.get());
  request.easy.reset();
  request.headers.reset();
  request.addresses.reset();
  resolver.drop();
  request.resolving = false;
  request.paused = false;
  request.state = WireState::Done;
}

// Begins to find the addresses of the peer. A request that follows a good one goes where that went:
// over the connection that is there, most often.
void HttpWire::State::resolve(bool fresh) {
  auto before = known.find(peer().host);
  std::vector<IpAddress> usable;
  if (before != known.end()) usable = only(before->second, path.family);
  if (!fresh && !usable.empty()) {
    transfer(usable);
    return;
  }
  request.resolving = true;
  Duration patience = usable.empty() ? kNamePatience : kKnownNamePatience;
  resolver.start(peer().host, path.family, path.resolver,
                 std::min<Duration>(patience, options.stall));
}

void HttpWire::State::take_addresses() {
  resolver.perform();
  if (!resolver.result()) return;
  const std::string& host = peer().host;
  const Result<std::vector<IpAddress>>& result = *resolver.result();
  if (result.ok()) {
    if (known.size() >= kMostKnownHosts) known.clear();
    known[host] = result.value();
    transfer(result.value());
    return;
  }
  std::vector<IpAddress> usable;
  if (auto before = known.find(host); before != known.end()) {
    usable = only(before->second, path.family);
  }
  if (usable.empty()) {
    request.dns_error = result.error();
    request.state = WireState::Failed;
    return;
  }
  log_warning(concat(peer_name_of(options, request.ask), ": ", result.error().message(),
                     "; its addresses of before are tried"));
  transfer(usable);
}

void HttpWire::State::transfer(const std::vector<IpAddress>& found) {
  request.resolving = false;
  // An address is its own (and curl 7.88 takes no entry for one of IPv6).
  bool good =
      (parse_ip(peer().host).ok() || append(request.addresses, resolve_entry(peer(), found))) &&
      curl_easy_setopt(request.easy.get(), CURLOPT_RESOLVE, request.addresses.get()) == CURLE_OK &&
      curl_multi_add_handle(multi.get(), request.easy.get()) == CURLM_OK;
  if (good) return;
  request.code = CURLE_OUT_OF_MEMORY;
  request.state = WireState::Failed;
}

WireState HttpWire::State::perform() {
  if (request.state != WireState::Running) return request.state;
  if (request.resolving) {
    take_addresses();
    if (request.state != WireState::Running || request.resolving) return request.state;
  }
  request.progress.began = true;
  if (request.paused) {
    request.paused = false;
    // Delivers what was held back.
    request.code = curl_easy_pause(request.easy.get(), CURLPAUSE_CONT);
    if (request.code != CURLE_OK) return request.state = WireState::Failed;
    if (request.paused) return request.state;
  }
  int running = 0;
  if (curl_multi_perform(multi.get(), &running) != CURLM_OK) {
    request.code = CURLE_OUT_OF_MEMORY;
    return request.state = WireState::Failed;
  }
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE || message->easy_handle != request.easy.get()) continue;
    request.code = message->data.result;
    if (request.code == CURLE_OK && !request.progress.has_head) request.code = CURLE_GOT_NOTHING;
    request.state = request.code == CURLE_OK ? WireState::Done : WireState::Failed;
  }
  return request.state;
}

WireEnd HttpWire::State::end() const {
  long os_error = 0;
  long proxy_status = 0;
  curl_easy_getinfo(request.easy.get(), CURLINFO_OS_ERRNO, &os_error);
  curl_easy_getinfo(request.easy.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  return {.options = options,
          .ask = request.ask,
          .verdict = verdict,
          .progress = request.progress,
          .stage = stage(),
          .proven = is_proven(),
          .dns_error = request.dns_error ? &*request.dns_error : nullptr,
          .socket_error = request.socket_error ? &*request.socket_error : nullptr,
          .code = request.code,
          .curl_error = request.curl_error,
          .os_error = static_cast<int>(os_error),
          .proxy_status = proxy_status,
          .connect_patience = connect_patience()};
}

HttpWire::HttpWire(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpWire::~HttpWire() = default;

Result<std::unique_ptr<HttpWire>> HttpWire::create(const HttpOptions& options) {
  static const CURLcode initialized = [] {
    ::unsetenv("SSLKEYLOGFILE");  // curl would open it, with whatever rights this program has
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  if (initialized != CURLE_OK) {
    return Error(concat("libcurl does not start: ", curl_easy_strerror(initialized)));
  }
  auto state = std::make_unique<State>(options);
  state->multi.reset(curl_multi_init());
  if (state->multi == nullptr) return Error("libcurl does not start: out of memory");
  curl_multi_setopt(state->multi.get(), CURLMOPT_MAXCONNECTS, 2L);
  return std::unique_ptr<HttpWire>(new HttpWire(std::move(state)));
}

Result<void> HttpWire::send(const HttpAsk& ask, const HttpPath& path, bool fresh,
                            HttpReceiver& receiver) {
  State& s = *state_;
  s.drop();
  if (!same_way(path, s.path)) fresh = true;
  s.path = path;
  s.verdict = TlsVerdict();
  s.request = Request();
  s.request.ask = ask;
  s.request.receiver = &receiver;
  s.request.easy.reset(curl_easy_init());
  if (s.request.easy == nullptr) return Error("libcurl: out of memory");
  TRY(s.set_options(s.request.easy.get(), fresh));
  s.request.state = WireState::Running;
  s.resolve(fresh);
  return {};
}

void HttpWire::drop() { state_->drop(); }
bool HttpWire::busy() const { return state_->request.easy != nullptr; }
WireState HttpWire::perform() { return state_->perform(); }

void HttpWire::wait(Duration most) {
  std::vector<curl_waitfd> also;
  if (state_->request.resolving) {
    for (const PollItem& item : state_->resolver.waits_for()) {
      int events =
          (item.want_read ? CURL_WAIT_POLLIN : 0) | (item.want_write ? CURL_WAIT_POLLOUT : 0);
      also.push_back({item.fd, static_cast<short>(events), 0});
    }
    most = std::clamp<Duration>(state_->resolver.next() - now(), Duration(0), most);
  }
  curl_multi_poll(state_->multi.get(), also.data(), static_cast<unsigned>(also.size()),
                  static_cast<int>(milliseconds(most)), nullptr);
}

HttpStage HttpWire::stage() const { return state_->stage(); }

uint32_t HttpWire::segment() const {
  uint32_t most = 0;
  for (int fd : state_->request.sockets) most = std::max(most, tcp_state(fd).segment);
  return most;
}

void HttpWire::wake() { curl_multi_wakeup(state_->multi.get()); }

HttpFailure HttpWire::failure(uint64_t position) const { return explain(state_->end(), position); }

std::string HttpWire::certificate_hint() const {
  return client_certificate_hint(state_->options, state_->request.ask, state_->verdict);
}

uint64_t HttpWire::arrived() const { return state_->arrived; }

uint64_t HttpWire::activity() const {
  uint64_t bytes = state_->arrived;
  for (int fd : state_->request.sockets) bytes += tcp_state(fd).received;
  return bytes;
}

Time HttpWire::now() const { return curlingiron::now(); }
uint64_t HttpWire::random() { return random_u64(); }

std::string HttpWire::tls_version() const {
  curl_tlssessioninfo* session = nullptr;
  bool has_session =
      state_->request.ask.url.scheme == UrlScheme::Https &&
      curl_easy_getinfo(state_->request.easy.get(), CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK &&
      session != nullptr && session->internals != nullptr;
  return has_session ? ::SSL_get_version(static_cast<const SSL*>(session->internals)) : "";
}

}  // namespace curlingiron
